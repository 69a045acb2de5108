package main

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/transcode"
)

type decodeCmd struct {
	In  string `arg:"" help:".sotto file, or .ecdc file of EnCodec; \"-\" is standard input."`
	Out string `arg:"" help:"WAV file, or FLAC where the name ends in .flac; \"-\" is WAV on standard output."`
	decoderFlag
	deviceFlag
	vocoderFlag
	lmFlag
	Bits    string `default:"16" enum:"16,24,32f" help:"Bits of a sample: ${enum} (32f is floating point, WAV only)."`
	Threads int    `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	Force   bool   `short:"f" help:"Replace an existing file."`
}

// Help is shown by --help.
func (decodeCmd) Help() string {
	return `Gives back exactly the number of samples, the rate and the channels that went in. A damaged packet is concealed and named on standard error; the exit code is 1 then.

Examples:
  sotto decode speech.sotto speech.wav
  sotto decode --bits 24 speech.sotto speech.flac
  sotto decode --vocoder vocos-encodec-24khz speech.sotto speech.wav
  sotto decode speech.sotto - | aplay`
}

// Validate refuses arguments that do not go together.
func (c *decodeCmd) Validate() error {
	if c.Bits == "32f" && isFLAC(c.Out) {
		return fmt.Errorf("--bits 32f: FLAC holds integers only: give 16 or 24, or a .wav name")
	}
	if c.Threads < 0 {
		return fmt.Errorf("--threads must not be negative")
	}
	if c.Vocoder != "" && c.Precision != "f32" {
		return fmt.Errorf("--precision %s: a vocoder decodes in f32 only", c.Precision)
	}
	switch ext := strings.ToLower(filepath.Ext(c.Out)); ext {
	case ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm", ".aiff", ".sotto":
		return fmt.Errorf("%s: %s is not written here: give a .wav or .flac name, or convert: sotto decode IN - | ffmpeg -i - OUT", c.Out, ext)
	}
	return nil
}

// sound is what decoding gives.
type sound interface {
	audio.Reader
	Damage() []error
}

// source opens what is to be decoded.
func (c *decodeCmd) source(s *session) (sound, io.Closer, error) {
	if isECDC(s, c.In) {
		model, err := c.load()
		if err == nil {
			model, err = c.codec(s, model)
		}
		if err != nil {
			return nil, nil, err
		}
		in, err := openBytes(s, c.In)
		if err != nil {
			return nil, nil, err
		}
		src, err := c.openECDC(s.ctx, model, c.vocoderFlag, bufio.NewReader(in))
		if err != nil {
			in.Close()
			return nil, nil, fmt.Errorf("%s: %w", name(c.In), err)
		}
		return src, in, nil
	}
	tokens, in, err := openTokens(s, c.In)
	if err != nil {
		return nil, nil, err
	}
	load := c.decoderFlag.loadFor
	if c.Vocoder != "" {
		load = c.vocoderFlag.loadFor
	}
	model, err := load(tokens.Header())
	if err == nil {
		model, err = c.codec(s, model)
	}
	if err != nil {
		in.Close()
		return nil, nil, err
	}
	src, err := transcode.NewDecoder(model, tokens)
	if err != nil {
		in.Close()
		return nil, nil, fmt.Errorf("%s: %w", name(c.In), err)
	}
	return src, in, nil
}

// Run is called by kong.
func (c *decodeCmd) Run(s *session) error {
	useThreads(c.Threads)
	src, in, err := c.source(s)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := distinct(c.In, c.Out); err != nil {
		return err
	}
	if err := soundOut(s, src, c.In, c.Out, c.Bits, c.Force); err != nil {
		return err
	}
	if damage := src.Damage(); len(damage) > 0 {
		return fmt.Errorf("%s: %w: what is whole was written", name(c.In), &transcode.DamageError{Damage: damage})
	}
	return nil
}

// soundOut writes all of src, which is made of in, with its progress, and tells what
// it wrote.
func soundOut(s *session, src audio.Reader, in, out, bits string, force bool) error {
	bars := newProgress(s.stderr)
	report, end := bars.task(name(in), src.Frames())
	samples, err := writeSound(s, src, out, bits, force, report)
	end()
	bars.wait()
	if err != nil {
		return err
	}
	if f := src.Format(); out != "-" {
		fmt.Fprintf(s.stdout, "%s: %s of %s at %d Hz\n", out, duration(float64(samples)/float64(f.SampleRate)), channelCount(f.Channels), f.SampleRate)
	}
	return nil
}

// writeSound writes all of src to a WAV or FLAC file, or as WAV to standard output,
// and gives the number of samples a channel.
func writeSound(s *session, src audio.Reader, out, bits string, force bool, report func(int64)) (int64, error) {
	var dst io.Writer = pipe{s.stdout}
	var file *output
	if out != "-" {
		var err error
		if file, err = create(s.ctx, out, force); err != nil {
			return 0, err
		}
		defer file.discard()
		dst = file
		if file.direct {
			dst = pipe{file}
		}
	}
	format := src.Format()
	format.Bits = map[string]int{"16": 16, "24": 24, "32f": 32}[bits]
	format.Float = bits == "32f"
	newWriter := audio.NewWAVWriter
	if isFLAC(out) {
		newWriter = audio.NewFLACWriter
	}
	w, err := newWriter(dst, format)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", out, err)
	}
	samples, err := transcode.Copy(s.ctx, w, src, report)
	if err != nil {
		return samples, err
	}
	if err := w.Close(); err != nil {
		return samples, fmt.Errorf("%s: %w", out, err)
	}
	if file == nil {
		return samples, nil
	}
	return samples, file.commit()
}

func isFLAC(name string) bool { return strings.EqualFold(filepath.Ext(name), ".flac") }
