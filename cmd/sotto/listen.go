package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/transcribe"
	"github.com/sotto-audio/sotto/stream"
	"golang.org/x/term"
)

type listenCmd struct {
	File   string `arg:"" optional:"" help:"Audio file, heard at the speed of speech; \"-\" is standard input, heard as it comes. The microphone by default."`
	Format string `default:"auto" enum:"auto,txt,jsonl" help:"What to write: ${enum}. auto is words on a terminal and jsonl on a pipe."`
	recognizerFlags
	captureFlag
	computeFlag
	rawFlags
}

// Help is shown by --help.
func (listenCmd) Help() string {
	return `Writes what is said while it is said. On a terminal, settled words are plain and the
present guess at what follows is dim; on a pipe there is a JSON object a line (see
sotto transcribe --help). Ctrl-C ends it with the last words.

Examples:
  sotto listen
  sotto listen --chunk 160 | jq -r 'select(.is_final).text'
  sotto listen --compute cuda --model large-v3.pt
  arecord -f S16_LE -r 16000 -t wav | sotto listen -`
}

// Validate refuses arguments that do not go together.
func (c *listenCmd) Validate() error {
	if c.Offline {
		return errors.New("--offline waits for the end of the sound: sotto transcribe does that")
	}
	if c.RawRate < 0 || c.RawChannels < 1 {
		return errors.New("--raw-rate and --raw-channels must be above 0")
	}
	return c.recognizerFlags.Validate()
}

// Run is called by kong.
func (c *listenCmd) Run(s *session) error {
	s.endless()
	model, err := c.load()
	if err == nil {
		model, err = c.device().recognizer(s, model)
	}
	if err != nil {
		return err
	}
	o, err := c.options(model)
	if err != nil {
		return err
	}
	words, err := model.NewStream(o)
	if err != nil {
		return err
	}
	latency, err := model.Latency(o)
	if err != nil {
		return err
	}
	info := model.Info()
	src, closeSource, err := c.source(s, c.File, c.rawFlags, info.SampleRate)
	if err != nil {
		return err
	}
	defer closeSource()
	var out transcribe.Writer
	switch {
	case c.Format == "txt" || c.Format == "auto" && interactive(s.stdout):
		if interactive(s.stdout) {
			out = &screen{w: s.stdout, width: terminalWidth}
		} else {
			out, err = transcribe.New(s.stdout, "txt", transcribe.About{})
		}
	default:
		chunk := o.Chunk
		if chunk == 0 && len(info.Chunks) > 0 {
			chunk = info.Chunks[0]
		}
		out, err = transcribe.New(s.stdout, "jsonl", transcribe.About{File: name(c.sourceName()), Model: info.Name, Chunk: chunk, Latency: latency})
	}
	if err != nil {
		return err
	}
	if interactive(s.stderr) && interactive(s.stdout) {
		fmt.Fprintf(s.stderr, "listening: words settle about %.1f s after they are spoken\n", latency.Seconds())
	}
	samples, err := hear(s, words, src, info.SampleRate, out)
	if mic, ok := src.(*stream.Recording); ok && mic.Overruns() > 0 {
		fmt.Fprintf(s.stderr, "sotto: sound was lost %d times: this machine is too slow for the recogniser, or was busy\n", mic.Overruns())
	}
	if err != nil {
		return err
	}
	return out.Close(time.Duration(samples) * time.Second / time.Duration(info.SampleRate))
}

// sourceName is what the input is called.
func (c *listenCmd) sourceName() string {
	if c.File == "" {
		return "microphone"
	}
	return c.File
}

// hear recognises src to its end, or to an interrupt.
func hear(s *session, words asr.Stream, src stream.Source, rate int, out transcribe.Writer) (samples int64, err error) {
	block := make([]float32, rate/50)
	for {
		n, err := src.Read(block)
		if n > 0 {
			samples += int64(n)
			u, err := words.Push(block[:n])
			if err == nil {
				err = out.Update(u, false)
			}
			if err != nil {
				return samples, err
			}
		}
		if err == io.EOF || s.ctx.Err() != nil {
			u, err := words.Flush()
			if err == nil {
				err = out.Update(u, true)
			}
			return samples, err
		}
		if err != nil {
			return samples, err
		}
	}
}

// screen shows words on a terminal: settled ones stay, the guess after them is dim
// and changes.
type screen struct {
	w     io.Writer
	width func() int
	line  string // settled words of this row
}

// Update shows what changed.
func (s *screen) Update(u asr.Update, end bool) error {
	var b strings.Builder
	b.WriteString("\r\x1b[J")
	width := s.width() - 1
	for _, w := range u.Committed {
		if s.line != "" && utf8.RuneCountInString(s.line)+1+utf8.RuneCountInString(w.Text) > width {
			b.WriteString(s.line + "\n")
			s.line = ""
		}
		if s.line != "" {
			s.line += " "
		}
		s.line += w.Text
	}
	if (u.Endpoint || end) && s.line != "" {
		b.WriteString(s.line + "\n")
		s.line = ""
	}
	b.WriteString(s.line)
	guess := transcribe.Segment{Words: u.Tentative}.Text()
	if room := width - utf8.RuneCountInString(s.line) - 1; guess != "" && room > 1 {
		if r := []rune(guess); len(r) > room {
			guess = "…" + string(r[len(r)-room+1:])
		}
		if s.line != "" {
			b.WriteByte(' ')
		}
		b.WriteString("\x1b[2m" + guess + "\x1b[0m")
	}
	_, err := io.WriteString(s.w, b.String())
	return err
}

// Close ends the row.
func (s *screen) Close(time.Duration) error { return nil }

// terminalWidth is the width of standard output.
func terminalWidth() int {
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 10 {
		return w
	}
	return 80
}
