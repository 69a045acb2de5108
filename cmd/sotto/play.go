package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/transcode"
	"github.com/sotto-audio/sotto/stream"
)

type playCmd struct {
	File string `arg:"" help:"Audio file or .sotto file; \"-\" is standard input."`
	decoderFlag
	playbackFlag
	computeFlag
}

// Help is shown by --help.
func (playCmd) Help() string {
	return `Examples:
  sotto play speech.sotto
  sotto encode speech.wav - | sotto play -`
}

// Run is called by kong.
func (c *playCmd) Run(s *session) error {
	src, err := c.open(s)
	if err != nil {
		return err
	}
	defer src.Close()
	f := src.Format()
	bars := newProgress(s.stderr)
	report, end := bars.task(name(c.File), src.Frames())
	var dry atomic.Int64
	o := c.options(0)
	o.Position, o.Underrun = report, func() { dry.Add(1) }
	err = stream.PlayOn(s.ctx, src, f.SampleRate, f.Channels, o)
	end()
	bars.wait()
	if err != nil {
		return err
	}
	if n := dry.Load(); n > 0 && interactive(s.stderr) {
		fmt.Fprintf(s.stderr, "the speakers ran dry %d times\n", n)
	}
	if d, ok := src.(*transcode.Decoder); ok && len(d.Damage()) > 0 {
		return fmt.Errorf("%s: %w", name(c.File), &transcode.DamageError{Damage: d.Damage()})
	}
	return nil
}

// open opens either kind of file by its first bytes.
func (c *playCmd) open(s *session) (audio.Reader, error) {
	var in io.Reader
	switch {
	case c.File == "-":
		buffered := bufio.NewReader(s.stdin)
		if head, _ := buffered.Peek(len(sottoMagic)); !bytes.Equal(head, sottoMagic) {
			return audio.NewReader(buffered, "-")
		}
		in = buffered
	case isSotto(c.File):
		f, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		in = f // read to the end of the program
	default:
		return rawFlags{}.open(s, c.File)
	}
	tokens, err := codec.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name(c.File), err)
	}
	model, err := c.loadFor(tokens.Header())
	if err == nil {
		model, err = c.device().codec(s, model)
	}
	if err != nil {
		return nil, err
	}
	d, err := transcode.NewDecoder(model, tokens)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name(c.File), err)
	}
	return d, nil
}
