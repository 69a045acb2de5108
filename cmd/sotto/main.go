// Command sotto turns speech into discrete tokens and back: encode, decode,
// play and inspect sound through a neural codec.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/hub"
)

// Exit codes.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

type commands struct {
	Encode     encodeCmd        `cmd:"" help:"Encode audio files to .sotto files."`
	Decode     decodeCmd        `cmd:"" help:"Decode a .sotto file to WAV or FLAC."`
	Transcribe transcribeCmd    `cmd:"" help:"Turn speech, or the tokens of speech, into text."`
	Play       playCmd          `cmd:"" help:"Play an audio file or a .sotto file."`
	Listen     listenCmd        `cmd:"" help:"Write what is said while it is said."`
	Send       sendCmd          `cmd:"" help:"Send live sound over UDP."`
	Receive    receiveCmd       `cmd:"" help:"Play or record what sotto send sends."`
	Tokenize   tokenizeCmd      `cmd:"" help:"Turn a corpus into token sequences for language models."`
	Detokenize detokenizeCmd    `cmd:"" help:"Turn token sequences back into sound."`
	Vocode     vocodeCmd        `cmd:"" help:"Make sound of log-mel spectra with a vocoder."`
	Serve      serveCmd         `cmd:"" help:"Serve a page, web sockets and transcription."`
	Info       infoCmd          `cmd:"" help:"Describe an audio file, a .sotto file or a model."`
	Models     modelsCmd        `cmd:"" help:"List the models that this program has."`
	Eval       evalCmd          `cmd:"" help:"Measure quality on a data set."`
	Bench      benchCmd         `cmd:"" help:"Measure speed on this machine."`
	Completion completionCmd    `cmd:"" help:"Print a shell completion script."`
	Version    kong.VersionFlag `help:"Print the version and quit."`
}

// session is what commands share.
type session struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	open           atomic.Bool // see endless
}

// endless says that the command runs until it is interrupted: that is its usual
// end, and it takes the time that it needs. A second interrupt ends it at once.
func (s *session) endless() { s.open.Store(true) }

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	// A command that is stuck in a read ends too: its temporary file is removed
	// by then (see output).
	s := &session{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	context.AfterFunc(ctx, func() {
		if s.open.Load() {
			stop()
			return
		}
		time.Sleep(500 * time.Millisecond)
		os.Exit(exitInterrupted)
	})
	code := run(s, os.Args[1:])
	if ctx.Err() != nil && !s.open.Load() {
		code = exitInterrupted
	}
	stop()
	os.Exit(code)
}

// run is the program without its process: it returns the exit code.
func run(s *session, args []string) int {
	var cli commands
	quit := -1
	parser, err := kong.New(&cli,
		kong.Name("sotto"),
		kong.Description("Speech as discrete tokens: a neural audio codec."),
		kong.Writers(s.stdout, s.stderr),
		kong.Exit(func(code int) {
			quit = code
			panic(errQuit)
		}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": "sotto " + version(), "hub": hub.Default},
		kong.ShortUsageOnError(),
	)
	if err != nil {
		return fail(s, err)
	}
	var command *kong.Context
	func() {
		// kong goes on after its exit hook: a panic stops it.
		defer func() {
			if r := recover(); r != nil && r != any(errQuit) {
				panic(r)
			}
		}()
		command, err = parser.Parse(args)
	}()
	if quit >= 0 {
		return quit
	}
	if err != nil {
		return usage(s, err, err)
	}
	err = command.Run(s, parser)
	var wrong *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		return usage(s, &kong.ParseError{Context: command}, err)
	}
	return fail(s, err)
}

var errQuit = errors.New("quit")

// usageError is a mistake in the arguments that shows only once files or
// models are open.
type usageError struct{ error }

// usage reports a mistake in the arguments of the command that parse holds.
func usage(s *session, parse, err error) int {
	help := "sotto"
	var p *kong.ParseError
	if errors.As(parse, &p) && p.Context != nil {
		if node := p.Context.Selected(); node != nil {
			help = "sotto " + node.Path()
		}
	}
	fmt.Fprintf(s.stderr, "sotto: %s: see %s --help\n", line(err), help)
	return exitUsage
}

func fail(s *session, err error) int {
	// Whatever failed after an interrupt failed because of it.
	if s.ctx.Err() != nil {
		fmt.Fprintln(s.stderr, "sotto: interrupted: output that was not whole is removed")
		return exitInterrupted
	}
	fmt.Fprintln(s.stderr, "sotto: "+line(err))
	return exitFailure
}

// line brings an error to one line: what, why, what to do.
func line(err error) string {
	msg := strings.ReplaceAll(err.Error(), "\n", "; ")
	for _, pkg := range []string{"codec: ", "audio: ", "stream: ", "packet: ", "serve: ", "tokenizer: ", "metrics: ", "weights: ", "sotto: ", "vocos: ", "encodec: "} {
		msg = strings.TrimPrefix(msg, pkg)
		msg = strings.ReplaceAll(msg, ": "+pkg, ": ")
	}
	var weights *codec.WeightsError
	switch {
	case errors.As(err, &weights):
		msg += ", with --model FILE"
	case errors.Is(err, codec.ErrFormat):
		msg += ": give a file that sotto encode wrote"
	}
	return msg
}

// version is the module version of a released binary, or the commit it was
// built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("%s %s %s/%s", v, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
