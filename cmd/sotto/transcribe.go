package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/transcode"
	"github.com/sotto-audio/sotto/internal/transcribe"
)

// recognizerFlags choose a recogniser and how it works.
type recognizerFlags struct {
	Model     string `short:"m" placeholder:"FILE" help:"Recogniser (weights file or folder), instead of the one inside this program."`
	Chunk     int    `placeholder:"MS" help:"Milliseconds of sound that are recognised at a time: fewer answer earlier, more hear better."`
	Stream    bool   `help:"Answer while the sound is heard, with recognisers that wait for 30 s otherwise (Whisper)."`
	Offline   bool   `help:"Hear the whole recording before deciding: more accurate, no latency to speak of."`
	Beam      int    `placeholder:"N" help:"Hypotheses to keep; 1 is greedy."`
	LM        string `name:"lm" placeholder:"FILE" help:"Language model (from sotto-train lm, or ARPA); \"none\" leaves out the recogniser's own."`
	Language  string `placeholder:"CODE" help:"Language that is spoken, such as en; the recogniser's default where it is left out."`
	Translate bool   `help:"Write English whatever is spoken, with recognisers that can."`
	Adapter   string `placeholder:"FILE" help:"Adapter for a Whisper checkpoint (from sotto-train asr --lora)."`
	Precision string `default:"f32" enum:"f32,bf16,int8,tf32" placeholder:"NAME" help:"Arithmetic of a Whisper checkpoint: ${enum}. int8 is faster on every processor, bf16 where it has AVX512-BF16; bf16 and tf32 use the tensor cores of cuda. All are a little less exact than f32."`
}

// Validate refuses what cannot be.
func (f *recognizerFlags) Validate() error {
	switch {
	case f.Chunk < 0 || f.Beam < 0:
		return errors.New("--chunk and --beam must not be negative")
	case f.Chunk > 0 && f.Offline:
		return errors.New("--chunk and --offline exclude each other")
	case f.Stream && f.Offline:
		return errors.New("--stream and --offline exclude each other")
	}
	return nil
}

func (f *recognizerFlags) load() (asr.Recognizer, error) {
	open := func() (asr.Recognizer, error) { return asr.Load(f.Model) }
	if f.Model == "" {
		open = embeddedRecognizer
	}
	r, err := open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file: give a recogniser, or leave --model out", f.Model)
	}
	if err != nil {
		return nil, err
	}
	return f.adapt(r)
}

// options are checked against what the model has.
func (f *recognizerFlags) options(model asr.Recognizer) (asr.Options, error) {
	o := asr.Options{Chunk: time.Duration(f.Chunk) * time.Millisecond, Offline: f.Offline, Beam: f.Beam, LM: f.LM, Language: f.Language, Translate: f.Translate}
	info := model.Info()
	if f.Stream && o.Chunk == 0 {
		o.Chunk = soon(info.Chunks)
	}
	if o.Chunk != 0 && !slices.Contains(info.Chunks, o.Chunk) {
		return o, &usageError{fmt.Errorf("--chunk %d: %s has chunks of %s ms", f.Chunk, info.Name, milliseconds(info.Chunks))}
	}
	if o.LM != "" && o.LM != "none" {
		if _, err := os.Stat(o.LM); err != nil {
			return o, missing(o.LM)
		}
	}
	return o, nil
}

func milliseconds(all []time.Duration) string {
	var out []string
	for _, d := range all {
		out = append(out, fmt.Sprint(d.Milliseconds()))
	}
	return strings.Join(out, ", ")
}

type transcribeCmd struct {
	Paths  []string `arg:"" name:"in" help:"Audio or .sotto files; \"-\" is standard input."`
	Out    string   `short:"o" placeholder:"PATH" help:"Write to this file instead of standard output; for several files, into this folder, which is made."`
	Format string   `default:"txt" enum:"txt,srt,vtt,json,jsonl" help:"What to write: ${enum}."`
	recognizerFlags
	deviceFlag
	Channel int  `placeholder:"N" help:"Channel to hear, from 1; all are mixed by default, in .sotto files the only one."`
	Threads int  `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	Force   bool `short:"f" help:"Replace existing files."`
	rawFlags
}

// Help is shown by --help.
func (transcribeCmd) Help() string {
	return `Text appears while the sound is read, so that a pipe is transcribed live. .sotto files are transcribed from their tokens, without being decoded, where the recogniser hears with the same codec.

txt has a line for each utterance, srt and vtt are subtitles, json is one object with segments and words (start, end, confidence), jsonl one line whenever words are committed (is_final true: they never change) or the guess at what follows changes (is_final false).

Examples:
  sotto transcribe talk.flac
  sotto transcribe --format srt --out talk.srt talk.mp3
  sotto transcribe --format json --out text/ *.wav *.sotto
  sotto transcribe --lm names.lm --offline talk.sotto
  sotto transcribe --model whisper-base.pt --language de --translate vortrag.mp3
  sotto transcribe --model ggml-small.bin --precision int8 --stream --format jsonl talk.wav
  arecord -t raw -f S16_LE -r 16000 | sotto transcribe --raw-rate 16000 --format jsonl -`
}

// Validate refuses arguments that do not go together.
func (c *transcribeCmd) Validate() error {
	if c.Threads < 0 || c.Channel < 0 {
		return errors.New("--threads and --channel must not be negative")
	}
	if c.RawRate < 0 || c.RawChannels < 1 {
		return errors.New("--raw-rate and --raw-channels must be above 0")
	}
	if len(c.Paths) > 1 && c.Out == "" && (c.Format == "srt" || c.Format == "vtt") {
		return fmt.Errorf("subtitles of several files need --out DIR")
	}
	if n := len(slices.DeleteFunc(slices.Clone(c.Paths), func(p string) bool { return p != "-" })); n > 0 && len(c.Paths) > 1 {
		return errors.New("\"-\" must be the only input")
	}
	if c.folder() {
		seen := map[string]string{}
		for _, in := range c.Paths {
			out := c.target(in)
			if other, ok := seen[out]; ok {
				return fmt.Errorf("%s and %s would both become %s", other, in, out)
			}
			seen[out] = in
		}
	}
	return c.recognizerFlags.Validate()
}

// folder says whether --out is one.
func (c *transcribeCmd) folder() bool { return c.Out != "" && len(c.Paths) > 1 }

func (c *transcribeCmd) target(in string) string {
	if !c.folder() {
		return c.Out
	}
	base := filepath.Base(in)
	return filepath.Join(c.Out, strings.TrimSuffix(base, filepath.Ext(base))+"."+c.Format)
}

// Run is called by kong.
func (c *transcribeCmd) Run(s *session) error {
	useThreads(c.Threads)
	model, err := c.load()
	if err == nil {
		model, err = c.recognizer(s, model)
	}
	if err != nil {
		return err
	}
	o, err := c.options(model)
	if err != nil {
		return err
	}
	if c.folder() {
		if err := os.MkdirAll(c.Out, 0o777); err != nil {
			return fmt.Errorf("%s: cannot be made: %w", c.Out, errors.Unwrap(err))
		}
	}
	bars := newProgress(s.stderr)
	if c.Out == "" && interactive(s.stdout) {
		bars = &progress{} // text and bar would mix
	}
	defer bars.wait()
	var failed []error
	for _, in := range c.Paths {
		if err := c.transcribe(s, bars, model, o, in); err != nil {
			if s.ctx.Err() != nil {
				return err
			}
			failed = append(failed, err)
		}
	}
	for _, err := range failed[:max(0, len(failed)-1)] {
		fmt.Fprintln(s.stderr, "sotto: "+line(err))
	}
	if len(failed) > 0 {
		return failed[len(failed)-1]
	}
	return nil
}

func (c *transcribeCmd) transcribe(s *session, bars *progress, model asr.Recognizer, o asr.Options, in string) error {
	var dst io.Writer = s.stdout
	var file *output
	if c.Out != "" {
		out := c.target(in)
		if err := distinct(in, out); err != nil {
			return err
		}
		f, err := create(s.ctx, out, c.Force)
		if err != nil {
			return err
		}
		defer f.discard()
		file, dst = f, f
	} else if len(c.Paths) > 1 && c.Format == "txt" {
		fmt.Fprintf(s.stdout, "%s:\n", in)
	}
	latency, err := model.Latency(o)
	if err != nil {
		return err
	}
	chunk := o.Chunk
	if chunk == 0 && !o.Offline && len(model.Info().Chunks) > 0 {
		chunk = model.Info().Chunks[0]
	}
	w, err := transcribe.New(dst, c.Format, transcribe.About{File: name(in), Model: model.Info().Name, Chunk: chunk, Latency: latency})
	if err != nil {
		return err
	}
	length, err := c.hear(s.ctx, s, bars, model, o, in, w.Update)
	if err != nil {
		if !strings.HasPrefix(err.Error(), name(in)) {
			err = fmt.Errorf("%s: %w", name(in), err)
		}
		return err
	}
	if err := w.Close(length); err != nil {
		return err
	}
	if file != nil {
		return file.commit()
	}
	return nil
}

// hear runs a file through the recogniser.
func (c *transcribeCmd) hear(ctx context.Context, s *session, bars *progress, model asr.Recognizer, o asr.Options, in string, got func(asr.Update, bool) error) (time.Duration, error) {
	tokens, src, closer, err := c.openEither(s, in)
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	if tokens == nil {
		return c.hearSamples(ctx, bars, model, o, in, src, c.Channel, got)
	}
	h := tokens.Header()
	streamer, ok := model.(asr.TokenStreamer)
	if !ok || model.Info().Codec != h.Fingerprint {
		// Another codec made the tokens: the samples must do.
		c, src, err := decoded(tokens, c.Channel)
		if err != nil {
			return 0, err
		}
		return transcribeCmd{}.hearSamples(ctx, bars, model, o, in, src, c, got)
	}
	channel := c.Channel
	switch {
	case channel == 0 && h.Channels == 1:
		channel = 1
	case channel == 0:
		return 0, &usageError{fmt.Errorf("it has %d channels: choose one with --channel", h.Channels)}
	}
	stream, err := streamer.NewTokenStream(len(h.CodebookSizes), o)
	if err != nil {
		return 0, err
	}
	total := int64(-1)
	if n := tokens.Samples(); n >= 0 {
		total = n * int64(h.ModelRate) / int64(h.SampleRate) / int64(h.HopLength)
	}
	report, end := bars.task(name(in), total)
	defer end()
	length, err := transcribe.Tokens(ctx, stream, tokens, channel, got, report)
	if err == nil && len(tokens.Damage()) > 0 {
		err = fmt.Errorf("%w: what is whole was transcribed", &transcode.DamageError{Damage: tokens.Damage()})
	}
	return length, err
}

// decoded gives the samples of tokens that this program's codec made.
func decoded(tokens *codec.Reader, channel int) (int, audio.Reader, error) {
	model, err := decoderFlag{}.loadFor(tokens.Header())
	if err != nil {
		return 0, nil, err
	}
	src, err := transcode.NewDecoder(model, tokens)
	return channel, src, err
}

func (transcribeCmd) hearSamples(ctx context.Context, bars *progress, model asr.Recognizer, o asr.Options, in string, src audio.Reader, channel int, got func(asr.Update, bool) error) (time.Duration, error) {
	stream, err := model.NewStream(o)
	if err != nil {
		return 0, err
	}
	report, end := bars.task(name(in), src.Frames())
	defer end()
	return transcribe.Samples(ctx, stream, model.Info().SampleRate, src, channel, got, report)
}

// openEither opens tokens or sound.
func (c *transcribeCmd) openEither(s *session, in string) (*codec.Reader, audio.Reader, io.Closer, error) {
	if c.RawRate == 0 && in == "-" {
		b := bufio.NewReader(s.stdin)
		if head, _ := b.Peek(len(sottoMagic)); bytes.Equal(head, sottoMagic) {
			r, err := codec.NewReader(b)
			return r, nil, io.NopCloser(b), err
		}
		src, err := audio.NewReader(b, in)
		return nil, src, src, err
	}
	if c.RawRate == 0 && isSotto(in) {
		r, f, err := openTokens(s, in)
		return r, nil, f, err
	}
	src, err := c.rawFlags.open(s, in)
	return nil, src, src, err
}
