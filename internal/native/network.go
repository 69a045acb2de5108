// Package native is the network of the native codec, codec/sotto, and the file
// that holds its weights: what the codec and its trainer share.
package native

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/dsp"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
)

// Config is the shape of a model; it travels with the weights.
type Config struct {
	SampleRate    int        `json:"sample_rate"`    // Hz
	HopLength     int        `json:"hop_length"`     // samples per token frame
	FFT           int        `json:"n_fft"`          // samples of an analysis and of a synthesis window
	AnalysisHop   int        `json:"analysis_hop"`   // samples between analysis frames; divides HopLength
	MelBands      int        `json:"mel_bands"`      // read beside the spectrum
	Width         int        `json:"width"`          // channels of the ConvNeXt blocks
	Expansion     int        `json:"expansion"`      // of their hidden layer
	Taps          int        `json:"taps"`           // of their depthwise convolutions
	EncoderBlocks int        `json:"encoder_blocks"` //
	DecoderBlocks int        `json:"decoder_blocks"` //
	Lookahead     int        `json:"lookahead"`      // token frames that the decoder's first block sees ahead
	Quantizer     rvq.Config `json:"quantizer"`
}

// DefaultConfig is the shape of the shipped model.
func DefaultConfig() Config {
	return Config{
		SampleRate: 16000, HopLength: 320, FFT: 640, AnalysisHop: 160, MelBands: 80,
		Width: 384, Expansion: 3, Taps: 7, EncoderBlocks: 2, DecoderBlocks: 4, Lookahead: 1,
		Quantizer: rvq.Config{Dim: 128, Groups: 2, Levels: 4, Size: 1024},
	}
}

// Validate reports a shape that cannot be built, or is too large to be meant.
func (c Config) Validate() error {
	const most = 1 << 14
	for _, f := range []struct {
		name string
		v    int
		low  int
	}{
		{"sample_rate", c.SampleRate / 64, 1}, {"hop_length", c.HopLength, 1}, {"n_fft", c.FFT, 2},
		{"analysis_hop", c.AnalysisHop, 1}, {"mel_bands", c.MelBands, 0}, {"width", c.Width, 1}, {"expansion", c.Expansion, 1},
		{"taps", c.Taps, 1}, {"encoder_blocks", c.EncoderBlocks, 0}, {"decoder_blocks", c.DecoderBlocks, 1},
		{"lookahead", c.Lookahead, 0}, {"quantizer.dim", c.Quantizer.Dim, 1}, {"quantizer.levels", c.Quantizer.Levels, 1},
		{"quantizer.size", (c.Quantizer.Size + 2) / 4, 1},
	} {
		if f.v < f.low || f.v > most {
			return fmt.Errorf("sotto: %s is out of range", f.name)
		}
	}
	if c.HopLength%c.AnalysisHop != 0 || c.FFT%c.HopLength != 0 || c.AnalysisHop > c.FFT {
		return fmt.Errorf("sotto: n_fft %d, hop_length %d and analysis_hop %d must divide each other", c.FFT, c.HopLength, c.AnalysisHop)
	}
	return c.Quantizer.Validate()
}

func (c Config) filters() []dsp.MelFilter {
	return dsp.MelFilters(c.SampleRate, c.FFT, c.MelBands)
}

// features is the number of values that the encoder reads a token frame.
func (c Config) features() int {
	return c.HopLength / c.AnalysisHop * (c.FFT + 2 + len(c.filters()))
}

// Network is the model without its quantizer: weights and the order in which
// they are applied.
type Network struct {
	Config
	Encoder *Encoder
	Decoder *Decoder
}

// Encoder turns samples into latents: compressed spectra and mel bands of the
// last FFT samples through causal ConvNeXt blocks, beside a linear path, normalised.
type Encoder struct {
	Spectrum *nn.STFT
	Features *nn.SpectralFeatures
	Input    *nn.Linear
	Blocks   []*nn.ConvNeXt
	Norm     *nn.LayerNorm
	Project  *nn.Linear
	Skip     *nn.Linear
	Latent   *nn.LayerNorm // without weights: latents have zero mean and unit variance
}

// Decoder turns latents into samples: causal ConvNeXt blocks beside a linear
// path give the cube-root spectrum of the next frame, the inverse Fourier
// transform the samples (Siuzdak 2024, Vocos).
type Decoder struct {
	Input     *nn.Linear
	Blocks    []*nn.ConvNeXt // the first one looks Lookahead frames ahead
	Norm      *nn.LayerNorm
	Output    *nn.Linear
	Delay     *nn.Delay // keeps the linear path in step with that block; may be nil
	Skip      *nn.Linear
	Expand    nn.Expand
	Synthesis *nn.ISTFT
}

// Reduced gives a decoder of the same parameters whose matrix products have
// precision p: all of them, for none of the layers costs more than another (the
// model's card has the figures).
func (d *Decoder) Reduced(p backend.Precision) *Decoder {
	r := *d
	r.Input, r.Output, r.Skip = d.Input.Reduced(p), d.Output.Reduced(p), d.Skip.Reduced(p)
	r.Blocks = nil
	for _, b := range d.Blocks {
		r.Blocks = append(r.Blocks, b.Reduced(p))
	}
	return &r
}

// NewNetwork builds a network whose weights are zero but for the norms.
func NewNetwork(c Config) (*Network, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	bins := c.FFT + 2 // (re, im) of each
	frames := c.HopLength / c.AnalysisHop
	mel := c.filters()
	features := c.features()
	hidden := c.Width * c.Expansion
	hann := dsp.Hann(c.FFT)
	analysis, err := nn.NewSTFT(c.FFT, c.AnalysisHop, c.HopLength, unitEnergy(hann))
	if err != nil {
		return nil, err
	}
	synthesis, err := nn.NewISTFT(c.FFT, c.HopLength, synthesisWindow(hann, c.HopLength))
	if err != nil {
		return nil, err
	}
	e := &Encoder{
		Spectrum: analysis,
		Features: &nn.SpectralFeatures{Frames: frames, Bins: bins / 2, Eps: 1e-7, Mel: mel},
		Input:    nn.NewLinear("encoder.input", features, c.Width),
		Norm:     nn.NewLayerNorm("encoder.norm", c.Width),
		Project:  nn.NewLinear("encoder.project", c.Width, c.Quantizer.Dim),
		Skip:     nn.NewLinear("encoder.skip", features, c.Quantizer.Dim),
		Latent:   &nn.LayerNorm{Eps: 1e-5},
	}
	for i := range c.EncoderBlocks {
		e.Blocks = append(e.Blocks, nn.NewConvNeXt(fmt.Sprintf("encoder.block%d", i), c.Width, hidden, c.Taps, 0, layerScale))
	}
	d := &Decoder{
		Input:     nn.NewLinear("decoder.input", c.Quantizer.Dim, c.Width),
		Norm:      nn.NewLayerNorm("decoder.norm", c.Width),
		Output:    nn.NewLinear("decoder.output", c.Width, bins),
		Skip:      linearPath("decoder.skip", c.Quantizer.Dim, bins),
		Expand:    nn.Expand{Eps: 0.05},
		Synthesis: synthesis,
	}
	for i := range c.DecoderBlocks {
		lookahead := 0
		if i == 0 {
			lookahead = c.Lookahead
		}
		d.Blocks = append(d.Blocks, nn.NewConvNeXt(fmt.Sprintf("decoder.block%d", i), c.Width, hidden, c.Taps, lookahead, layerScale))
	}
	if c.Lookahead > 0 {
		d.Delay = &nn.Delay{Rows: c.Lookahead, Channels: c.Quantizer.Dim}
	}
	return &Network{Config: c, Encoder: e, Decoder: d}, nil
}

const (
	layerScale = 0.3 // where the layer scales start
	// headGain lets the decoder work with numbers near one: it is about the
	// magnitude of a windowed spectrum of speech at its usual level.
	headGain = 18
)

func linearPath(name string, in, out int) *nn.Linear {
	l := nn.NewLinear(name, in, out)
	l.Bias = nil
	return l
}

// unitEnergy scales a window to Σw² = 1, so that noise of unit variance has
// bins of unit power.
func unitEnergy(w []float32) []float32 {
	var sum float64
	for _, v := range w {
		sum += float64(float64(v) * float64(v))
	}
	out := make([]float32, len(w))
	for i, v := range w {
		out[i] = float32(float64(v) / math.Sqrt(sum))
	}
	return out
}

// synthesisWindow is the square root of the Hann window divided by the steady
// sum of the Hann window over its overlaps, times headGain.
func synthesisWindow(hann []float32, hop int) []float32 {
	out := make([]float32, len(hann))
	for i, v := range hann {
		var envelope float64
		for k := i % hop; k < len(hann); k += hop {
			envelope += float64(hann[k])
		}
		out[i] = float32(float64(headGain*math.Sqrt(float64(v))) / envelope)
	}
	return out
}

// Encode is the encoder's forward pass: rows of HopLength samples become rows of
// latents.
func Encode[V any](r nn.Runner[V], e *Encoder, samples V) V {
	return EncodeFeatures(r, e, r.Apply(e.Features, r.Apply(e.Spectrum, samples)))
}

// EncodeFeatures is the part of Encode that is trained.
func EncodeFeatures[V any](r nn.Runner[V], e *Encoder, features V) V {
	h := nn.ApplyConvNeXts(r, e.Blocks, r.Apply(e.Input, features))
	return r.Apply(e.Latent, nn.ApplySum(r, e.Project, r.Apply(e.Norm, h), e.Skip, features))
}

// Decode is the decoder's forward pass: rows of latents become rows of HopLength
// samples, Network.Delay rows later.
func Decode[V any](r nn.Runner[V], d *Decoder, latent V) V {
	return r.Apply(d.Synthesis, r.Apply(&d.Expand, DecodeSpectrum(r, d, latent)))
}

// DecodeSpectrum is Decode up to the compressed spectrum.
func DecodeSpectrum[V any](r nn.Runner[V], d *Decoder, latent V) V {
	h := nn.ApplyConvNeXts(r, d.Blocks, r.Apply(d.Input, latent))
	if d.Delay != nil {
		latent = r.Apply(d.Delay, latent)
	}
	return nn.ApplySum(r, d.Output, r.Apply(d.Norm, h), d.Skip, latent)
}

// Delay is the number of token frames by which decoded samples trail the
// samples that were encoded, summed over the layers.
func (n *Network) Delay() int {
	rows := n.Decoder.Synthesis.Delay()
	for _, b := range n.Decoder.Blocks {
		if b.Delay != nil {
			rows += b.Delay.Rows
		}
	}
	return rows
}

// Params lists all weights in a fixed order.
func (n *Network) Params() []*nn.Param { return append(n.Encoder.Params(), n.Decoder.Params()...) }

// Params lists the encoder's weights.
func (e *Encoder) Params() []*nn.Param {
	p := nn.Params(e.Input)
	for _, b := range e.Blocks {
		p = append(p, b.Params()...)
	}
	return append(p, nn.Params(e.Norm, e.Project, e.Skip)...)
}

// Params lists the decoder's weights.
func (d *Decoder) Params() []*nn.Param {
	p := nn.Params(d.Input)
	for _, b := range d.Blocks {
		p = append(p, b.Params()...)
	}
	return append(p, nn.Params(d.Norm, d.Output, d.Skip)...)
}

// Init draws matrices from a normal distribution of deviation 1/√(inputs);
// biases are zero. The last layers beside the linear paths start at a tenth, so
// that training begins at the linear codec.
func (n *Network) Init(rng *rand.Rand) {
	for _, p := range n.Params() {
		if len(p.Shape) != 2 {
			continue
		}
		scale := 1 / math.Sqrt(float64(p.Shape[0]))
		if p == n.Encoder.Project.Weight || p == n.Decoder.Output.Weight {
			scale /= 10
		}
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64() * scale)
		}
		p.Changed()
	}
}
