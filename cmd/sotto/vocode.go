package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/encodec"
	"github.com/sotto-audio/sotto/codec/vocos"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/device"
	"github.com/sotto-audio/sotto/internal/npy"
	"github.com/sotto-audio/sotto/internal/transcode"
)

type vocodeCmd struct {
	In      string `arg:"" help:"Audio file, or log-mel spectra in a NumPy file (.npy); \"-\" is audio on standard input."`
	Out     string `arg:"" help:"WAV file, FLAC where the name ends in .flac, or spectra where it ends in .npy; \"-\" is WAV on standard output."`
	Model   string `short:"m" required:"" placeholder:"FILE" help:"Vocos for log-mel spectra: its checkpoint with config.yaml beside it, the folder of both, a converted file, or the name of a pulled model."`
	Bits    string `default:"16" enum:"16,24,32f" help:"Bits of a sample: ${enum} (32f is floating point, WAV only)."`
	Threads int    `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	Force   bool   `short:"f" help:"Replace an existing file."`
	deviceFlag
	rawFlags
}

// Help is shown by --help.
func (vocodeCmd) Help() string {
	return `Makes sound of log-mel spectra with Vocos: of those in a NumPy file of shape [bands, frames] or [1, bands, frames], as speech synthesis gives them, or of those of an audio file, which is called copy-synthesis. Tokens of EnCodec: see sotto decode --vocoder.

Examples:
  sotto vocode --model vocos-mel-24khz mel.npy speech.wav
  sotto vocode --model vocos-mel-24khz speech.wav copy.wav
  sotto vocode --model vocos-mel-24khz speech.wav mel.npy`
}

// Validate refuses arguments that do not go together.
func (c *vocodeCmd) Validate() error {
	switch {
	case c.Bits == "32f" && isFLAC(c.Out):
		return errors.New("--bits 32f: FLAC holds integers only: give 16 or 24, or a .wav name")
	case isNPY(c.In) && isNPY(c.Out):
		return errors.New("IN and OUT are both spectra: give an audio file for one of them")
	case c.Threads < 0:
		return errors.New("--threads must not be negative")
	}
	return nil
}

func isNPY(name string) bool { return strings.EqualFold(filepath.Ext(name), ".npy") }

// vocoder opens a Vocos model.
func vocoder(path string) (*vocos.Model, error) {
	path, err := pulled(path)
	if err != nil {
		return nil, err
	}
	return vocos.Load(path)
}

// Run is called by kong.
func (c *vocodeCmd) Run(s *session) error {
	useThreads(c.Threads)
	m, err := vocoder(c.Model)
	if err != nil {
		return err
	}
	if name := c.name(s); name != device.CPU {
		if m, err = m.On(name); err != nil {
			return named(err)
		}
	}
	if m.Bands() == 0 {
		return &usageError{fmt.Errorf("%s: is %s, which decodes tokens: give it to sotto decode --vocoder", c.Model, m.Info().Name)}
	}
	if err := distinct(c.In, c.Out); err != nil {
		return err
	}
	if isNPY(c.In) {
		src, err := c.spectra(s, m)
		if err != nil {
			return fmt.Errorf("%s: %w", name(c.In), err)
		}
		return soundOut(s, src, c.In, c.Out, c.Bits, c.Force)
	}
	src, err := c.open(s, c.In)
	if err != nil {
		return err
	}
	defer src.Close()
	if isNPY(c.Out) {
		return c.analyse(s, m, src)
	}
	v, err := transcode.NewVocoder(m, src)
	if err != nil {
		return err
	}
	return soundOut(s, v, c.In, c.Out, c.Bits, c.Force)
}

// analyse writes the spectra of one channel, [bands, frames].
func (c *vocodeCmd) analyse(s *session, m *vocos.Model, src audio.Reader) error {
	channels, err := audio.ReadAll(src)
	if err != nil {
		return fmt.Errorf("%s: %w", name(c.In), err)
	}
	if len(channels) != 1 {
		return fmt.Errorf("%s: %d channels: spectra are of one: mix them first", name(c.In), len(channels))
	}
	pcm, rate := channels[0], m.Info().SampleRate
	if from := src.Format().SampleRate; from != rate {
		r := audio.NewResampler(from, rate, 1)
		pcm = r.Flush(r.Process(nil, pcm))
	}
	analysis, err := m.NewAnalysis()
	if err != nil {
		return err
	}
	frames, err := analysis.Push(nil, pcm)
	if err != nil {
		return err
	}
	if frames, err = analysis.Flush(frames); err != nil {
		return err
	}
	bands := m.Bands()
	n := len(frames) / bands
	out, err := create(s.ctx, c.Out, c.Force)
	if err != nil {
		return err
	}
	defer out.discard()
	if _, err := out.Write(npy.AppendFloats(nil, transposed(frames, n, bands), bands, n)); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "%s: %d frames of %d bands, %s\n", c.Out, n, bands, duration(float64(len(pcm))/float64(rate)))
	return nil
}

// spectra reads those of a NumPy file.
func (c *vocodeCmd) spectra(s *session, m *vocos.Model) (audio.Reader, error) {
	in, err := openBytes(s, c.In)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	shape, values, err := npy.ReadFloats(in)
	if err != nil {
		return nil, err
	}
	bands := m.Bands()
	of := shape
	if len(of) == 3 && of[0] == 1 {
		of = of[1:]
	}
	if len(of) != 2 || of[0] != bands {
		return nil, fmt.Errorf("spectra of shape %v: %s takes [%d, frames]", shape, m.Info().Name, bands)
	}
	for _, v := range values {
		if v-v != 0 {
			return nil, errors.New("the spectra hold values that are not finite")
		}
	}
	synthesis, err := m.NewSynthesis()
	if err != nil {
		return nil, err
	}
	return &spectralSound{rate: m.Info().SampleRate, bands: bands, synthesis: synthesis, frames: transposed(values, bands, of[1])}, nil
}

// transposed is a matrix [rows, columns] by columns.
func transposed(x []float32, rows, columns int) []float32 {
	y := make([]float32, len(x))
	for r := range rows {
		for c := range columns {
			y[c*rows+r] = x[r*columns+c]
		}
	}
	return y
}

// spectralSound is the sound of spectra, an audio.Reader.
type spectralSound struct {
	rate, bands int
	synthesis   *vocos.Stream
	frames      []float32 // not yet pushed
	wave        []float32 // not yet given out
	ended       bool
}

func (v *spectralSound) Format() audio.Format {
	return audio.Format{SampleRate: v.rate, Channels: 1, Kind: "vocoder"}
}

func (v *spectralSound) Frames() int64 { return -1 }
func (v *spectralSound) Close() error  { return nil }

func (v *spectralSound) Read(dst []float32) (int, error) {
	for len(v.wave) == 0 {
		if v.ended {
			return 0, io.EOF
		}
		n := min(100*v.bands, len(v.frames))
		var err error
		if v.wave, err = v.synthesis.Push(v.wave[:0], v.frames[:n]); err != nil {
			return 0, err
		}
		if v.frames = v.frames[n:]; len(v.frames) == 0 {
			v.ended = true
			if v.wave, err = v.synthesis.Flush(v.wave); err != nil {
				return 0, err
			}
		}
	}
	n := copy(dst, v.wave)
	v.wave = v.wave[n:]
	return n, nil
}

// vocoderFlag chooses a vocoder for the tokens of another model.
type vocoderFlag struct {
	Vocoder string `placeholder:"FILE" help:"Vocos for EnCodec's tokens, which decodes them instead of EnCodec: its checkpoint with config.yaml beside it, the folder of both, a converted file, or the name of a pulled model."`
}

// loadFor opens it for tokens.
func (v vocoderFlag) loadFor(h codec.Header) (codec.Codec, error) {
	m, err := vocoder(v.Vocoder)
	if err != nil {
		return nil, err
	}
	return m.DecoderOf(h)
}

// decodeSegments gives the sound of an .ecdc file, by EnCodec itself where no
// vocoder was chosen.
func (v vocoderFlag) decodeSegments(ctx context.Context, m *encodec.Model, segments []encodec.Segment) ([]float32, error) {
	if v.Vocoder == "" || len(segments) == 0 {
		return m.DecodeSegments(ctx, segments)
	}
	i, tokens := m.Info(), segments[0].Tokens
	c, err := v.loadFor(codec.Header{Model: i.Name, Fingerprint: i.Fingerprint, CodebookSizes: i.CodebookSizes[:tokens.Codebooks]})
	if err != nil {
		return nil, err
	}
	return c.Decode(ctx, &tokens)
}
