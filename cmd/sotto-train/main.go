// Command sotto-train trains the models of sotto.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

var cli struct {
	Codec   codecCmd   `cmd:"" help:"Train the native codec."`
	Plot    plotCmd    `cmd:"" help:"Draw a training log."`
	Release releaseCmd `cmd:"" help:"Turn a trained run into the weights file of a release."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parser, err := kong.New(&cli, kong.Name("sotto-train"),
		kong.Description("Trains the models of sotto.\n\nExample:\n  sotto-train codec --data speech/manifest.tsv --out runs/v1 --minutes 90"),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Exit(func(code int) {
			if code != 0 {
				code = 2
			}
			os.Exit(code)
		}))
	if err != nil {
		fail(err)
	}
	command, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := command.Run(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "sotto-train:", err)
	os.Exit(1)
}
