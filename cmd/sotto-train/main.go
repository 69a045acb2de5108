// Command sotto-train trains the models of sotto.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

var cli struct {
	Codec    codecCmd    `cmd:"" help:"Train the native codec."`
	ASR      asrCmd      `cmd:"" name:"asr" help:"Train the native recogniser on features."`
	Features featuresCmd `cmd:"" help:"Run the codec's encoder over recordings with transcripts, for asr."`
	LM       lmCmd       `cmd:"" name:"lm" help:"Make a language model of text, for a recogniser."`
	SE       seCmd       `cmd:"" name:"se" help:"Build codebooks by structural entropy for a released codec."`
	Entropy  entropyCmd  `cmd:"" help:"Train the network that codes tokens in fewer bits."`
	Whisper  whisperCmd  `cmd:"" help:"Train an adapter with which a Whisper checkpoint hears live."`
	Plot     plotCmd     `cmd:"" help:"Draw a training log."`
	Release  releaseCmd  `cmd:"" help:"Turn a trained run into the weights file of a release."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parser, err := kong.New(&cli, kong.Name("sotto-train"),
		kong.Description("Trains the models of sotto.\n\nExample:\n  sotto-train codec --data speech/manifest.tsv --out runs/v1 --minutes 90"),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		fail(err)
	}
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "sotto-train: %v: see sotto-train --help\n", err)
		os.Exit(2)
	}
	if err := command.Run(); err != nil {
		fail(err)
	}
}

// fail ends the program with one line, without the name of the package.
func fail(err error) {
	msg := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", "; "), "train: ")
	fmt.Fprintln(os.Stderr, "sotto-train: "+strings.ReplaceAll(msg, ": train: ", ": "))
	os.Exit(1)
}
