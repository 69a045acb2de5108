package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sotto-audio/sotto/codec"
	_ "github.com/sotto-audio/sotto/codec/all" // families that Load knows
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/codec/vocos"
	"github.com/sotto-audio/sotto/internal/published"
)

// modelFlag chooses a model.
type modelFlag struct {
	Model     string  `short:"m" placeholder:"FILE" help:"Weights, or the name of a pulled model, instead of the model inside this program: safetensors or a checkpoint as its makers published it, with its configuration beside it, or the folder of both."`
	Quantizer string  `default:"grvq" enum:"grvq,se" placeholder:"NAME" help:"Quantizer of the model inside this program: ${enum}. se has codebooks by structural entropy, whose sizes came out of the data."`
	Window    float64 `default:"60" placeholder:"SECONDS" help:"For models that look at the whole signal: the longest one that they see whole. Longer ones are cut into windows of this length, which overlap by two seconds."`
}

// load opens a model that has tokens of its own.
func (m modelFlag) load() (codec.Codec, error) {
	c, err := m.any()
	if v, ok := c.(*vocos.Model); ok {
		how := "decode tokens of EnCodec by it with sotto decode --vocoder"
		if v.Bands() > 0 {
			how = "make sound of spectra by it with sotto vocode"
		}
		return nil, &usageError{fmt.Errorf("--model %s: is %s, a vocoder without tokens of its own: %s", m.Model, v.Info().Name, how)}
	}
	return c, err
}

// any opens a model of any kind.
func (m modelFlag) any() (codec.Codec, error) {
	if m.Model == "" {
		return inside(m.Quantizer)
	}
	if m.Quantizer == quantizerSE {
		return nil, &usageError{errors.New("--quantizer goes with the model inside this program: leave --model or --quantizer out")}
	}
	path, err := pulled(m.Model)
	if err != nil {
		return nil, err
	}
	c, err := codec.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file: give a weights file or a name that 'sotto models pull --help' lists, or leave --model out", m.Model)
	}
	if p, ok := c.(*published.Codec); ok && m.Window != 0 {
		if !(m.Window > 0 && m.Window <= 3600) {
			return nil, &usageError{fmt.Errorf("--window %v: give seconds, up to 3600", m.Window)}
		}
		return p.Windowed(time.Duration(m.Window * float64(time.Second))), nil
	}
	return c, err
}

// windowed says that a signal was cut, where it was.
func windowed(s *session, c codec.Codec, in string, seconds float64) {
	p, ok := c.(*published.Codec)
	if ok && p.Info().Streaming == codec.StreamingWindowed && seconds > p.Window().Seconds() {
		fmt.Fprintf(s.stderr, "sotto: %s: longer than a window of %.0f s, in which %s looks at everything: run in windows that overlap (--window)\n", in, p.Window().Seconds(), p.Info().Name)
	}
}

// decoderFlag chooses a model that decodes.
type decoderFlag struct {
	modelFlag
	Precision string `default:"f32" enum:"f32,bf16,int8,tf32" placeholder:"NAME" help:"Arithmetic of the decoder: ${enum}. int8 is faster on every processor, bf16 where it has AVX512-BF16; bf16 and tf32 use the tensor cores of cuda. All are a little less exact than f32."`
}

func (d decoderFlag) load() (codec.Codec, error) {
	model, err := d.modelFlag.load()
	if err != nil || d.Precision == "" || d.Precision == string(sotto.Float32) {
		return model, err
	}
	native, ok := model.(*sotto.Model)
	if !ok {
		return nil, &usageError{fmt.Errorf("--precision %s: %s decodes in f32 only: leave --precision out", d.Precision, model.Info().Name)}
	}
	return native.In(sotto.Precision(d.Precision))
}

// loadFor is load for tokens: where no model was named and the one inside this
// program with another quantizer made them, it is that one.
func (d decoderFlag) loadFor(tokens codec.Header) (codec.Codec, error) {
	model, err := d.load()
	if err != nil || d.Model != "" || model.Info().Fingerprint == tokens.Fingerprint {
		return model, err
	}
	for _, d.Quantizer = range quantizers {
		if other, err := d.load(); err == nil && other.Info().Fingerprint == tokens.Fingerprint {
			return other, nil
		}
	}
	return model, nil
}

// Quantizers of the model inside this program.
const (
	quantizerGRVQ = "grvq"
	quantizerSE   = "se"
)

var quantizers = []string{quantizerGRVQ, quantizerSE}

// embedded is the model inside this program.
func embedded() (codec.Codec, error) { return inside(quantizerGRVQ) }

// inside is the model inside this program with a quantizer.
func inside(quantizer string, opts ...sotto.Option) (codec.Codec, error) {
	load := sotto.Default
	if quantizer == quantizerSE {
		load = sotto.StructuralEntropy
	}
	c, err := load(opts...)
	if err != nil {
		return nil, fmt.Errorf("embedded model: %w", err)
	}
	return c, nil
}

// loadThreads is load for a model whose calls use at most n threads.
func (m modelFlag) loadThreads(n int) (codec.Codec, error) {
	if m.Model == "" {
		return inside(m.Quantizer, sotto.WithThreads(n))
	}
	return m.load()
}
