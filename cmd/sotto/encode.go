package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/transcode"
	"golang.org/x/sync/errgroup"
)

type encodeCmd struct {
	Paths []string `arg:"" name:"in" help:"IN and OUT, or with --out any number of IN. \"-\" is standard input or output."`
	Out   string   `short:"o" placeholder:"DIR" help:"Write IN.sotto for every IN into this folder."`
	modelFlag
	deviceFlag
	Bitrate float64 `short:"b" placeholder:"KBPS" help:"Bitrate a channel in kbit/s (see sotto models); the highest by default."`
	Mono    bool    `help:"Mix the channels to one."`
	Entropy bool    `help:"Code the tokens in fewer bits; the same tokens come back. Plain packets are simpler to read elsewhere."`
	Packet  int     `placeholder:"MS" help:"Length of a packet in milliseconds: what one damaged byte costs. About 1000 by default."`
	Threads int     `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	Force   bool    `short:"f" help:"Replace existing files."`
	JSON    bool    `name:"json" help:"Print one JSON object a file."`
	lmFlag
	rawFlags
}

// Help is shown by --help.
func (encodeCmd) Help() string {
	return `Reads WAV, FLAC, MP3, Ogg Vorbis and Ogg Opus of any rate and any number of channels.

Examples:
  sotto encode speech.wav speech.sotto
  sotto encode --bitrate 1 --out tokens/ *.flac
  sotto encode --model encodec_48khz.th --bitrate 6 music.flac music.ecdc
  sotto encode --entropy speech.wav speech.sotto
  ffmpeg -i talk.m4a -f wav - | sotto encode - talk.sotto
  arecord -t raw -f S16_LE -r 16000 | sotto encode --raw-rate 16000 - - > live.sotto`
}

// Validate refuses arguments that do not go together.
func (c *encodeCmd) Validate() error {
	switch {
	case len(c.Paths) == 0:
		return errors.New("IN is missing: give IN and OUT, or --out DIR")
	case c.Out == "" && len(c.Paths) == 1:
		return errors.New("OUT is missing: give IN and OUT, or --out DIR")
	case c.Out == "" && len(c.Paths) != 2:
		return errors.New("more than IN and OUT: several files need --out DIR")
	case c.Threads < 0:
		return errors.New("--threads must not be negative")
	case c.Packet < 0:
		return errors.New("--packet must not be negative")
	case c.Bitrate < 0:
		return errors.New("--bitrate must not be negative")
	case c.RawRate < 0 || c.RawChannels < 1:
		return errors.New("--raw-rate and --raw-channels must be above 0")
	case c.Entropy && c.Out == "" && namesECDC(c.Paths[1]):
		return errors.New("--entropy is for .sotto files: .ecdc files have a form of their own")
	}
	if c.Out != "" {
		seen := map[string]string{}
		for _, in := range c.Paths {
			if in == "-" {
				return errors.New("\"-\" has no name for --out: give IN and OUT")
			}
			out := c.target(in)
			if other, ok := seen[out]; ok {
				return fmt.Errorf("%s and %s would both become %s", other, in, out)
			}
			seen[out] = in
		}
	}
	return nil
}

// target is the output of an input under --out.
func (c *encodeCmd) target(in string) string {
	base := filepath.Base(in)
	return filepath.Join(c.Out, strings.TrimSuffix(base, filepath.Ext(base))+".sotto")
}

// Run is called by kong.
func (c *encodeCmd) Run(s *session) error {
	useThreads(c.Threads)
	model, err := c.load()
	if err == nil {
		model, err = c.codec(s, model)
	}
	if err != nil {
		return err
	}
	info := model.Info()
	o := transcode.EncodeOptions{Mono: c.Mono}
	if o.Codebooks, err = transcode.Codebooks(info, c.Bitrate); err != nil {
		return &usageError{fmt.Errorf("--bitrate %w", err)}
	}
	if c.Entropy {
		if o.Entropy, err = codec.EntropyOf(info); err != nil {
			return fmt.Errorf("%w, or leave --entropy out", err)
		}
	}
	if c.Packet > 0 {
		o.PacketFrames = max(1, c.Packet*info.SampleRate/(1000*info.HopLength))
	}
	if c.Out == "" {
		p := newProgress(s.stderr)
		err := c.encode(s, model, o, p, c.Paths[0], c.Paths[1])
		p.wait()
		return err
	}
	if st, err := os.Stat(c.Out); err == nil && !st.IsDir() {
		return fmt.Errorf("%s: is a file: --out names a folder", c.Out)
	}
	if err := os.MkdirAll(c.Out, 0o777); err != nil {
		return fmt.Errorf("%s: cannot be made: %w", c.Out, errors.Unwrap(err))
	}
	var mu sync.Mutex
	var failed []error
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	p := newProgress(s.stderr)
	for _, in := range c.Paths {
		g.Go(func() error {
			if err := c.encode(s, model, o, p, in, c.target(in)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
			return s.ctx.Err()
		})
	}
	err = g.Wait()
	p.wait()
	if err != nil {
		return err
	}
	for _, err := range failed[:max(0, len(failed)-1)] {
		fmt.Fprintln(s.stderr, "sotto: "+line(err))
	}
	if len(failed) > 0 {
		return failed[len(failed)-1]
	}
	return nil
}

// encode encodes one file.
func (c *encodeCmd) encode(s *session, model codec.Codec, o transcode.EncodeOptions, p *progress, in, out string) error {
	start := time.Now()
	src, err := c.open(s, in)
	if err != nil {
		return err
	}
	defer src.Close()
	report, end := p.task(name(in), src.Frames())
	defer end()
	o.Progress = report
	var dst io.Writer = pipe{s.stdout}
	var file *output
	if out != "-" {
		if err = distinct(in, out); err != nil {
			return err
		}
		if file, err = create(s.ctx, out, c.Force); err != nil {
			return err
		}
		defer file.discard()
		dst = file
	}
	encode := transcode.Encode
	switch {
	case namesECDC(out):
		encode = c.encodeECDC
	case c.LM != "":
		return &usageError{errors.New("--lm is for outputs that end in .ecdc")}
	}
	sum, err := encode(s.ctx, model, src, dst, o)
	var damage *transcode.DamageError
	if err != nil && !errors.As(err, &damage) {
		return err
	}
	if file != nil {
		if err := file.commit(); err != nil {
			return err
		}
	}
	end()
	windowed(s, model, in, float64(sum.Samples)/float64(sum.SampleRate))
	c.tell(s, model.Info(), sum, in, out, time.Since(start))
	return err
}

// coding is how info and encode name the form of payloads.
func coding(entropy bool) string {
	if entropy {
		return "entropy"
	}
	return "packed"
}

// tell says what was written; on standard error where the file itself is on
// standard output.
func (c *encodeCmd) tell(s *session, model codec.Info, sum transcode.Summary, in, out string, took time.Duration) {
	w := s.stdout
	if out == "-" {
		w = s.stderr
	}
	seconds := float64(sum.Samples) / float64(sum.SampleRate)
	if c.JSON {
		line, _ := json.Marshal(map[string]any{
			"input": in, "output": out,
			"samples": sum.Samples, "sample_rate": sum.SampleRate, "channels": sum.Channels,
			"frames": sum.Frames, "codebooks": sum.Codebooks, "bitrate": sum.Bitrate,
			"coding": coding(c.Entropy), "bytes": sum.Bytes, "ratio": sum.Ratio(), "seconds": seconds, "elapsed": took.Seconds(),
			"model": model.Name, "fingerprint": model.Fingerprint.String(),
		})
		fmt.Fprintf(w, "%s\n", line)
		return
	}
	if out == "-" && !interactive(s.stderr) {
		return
	}
	where := out
	if out == "-" {
		where = "standard output"
	}
	coded := ""
	if c.Entropy && seconds > 0 {
		coded = fmt.Sprintf(" in %s", kbps(float64(sum.Bytes)*8/seconds))
	}
	fmt.Fprintf(w, "%s: %s of %s at %s%s, %s: %.0f times smaller than 16-bit PCM, %.0f x real time\n",
		where, duration(seconds), channelCount(sum.Channels), kbps(sum.Bitrate), coded, size(sum.Bytes), sum.Ratio(), seconds/took.Seconds())
}
