// Package recognizer is the network of the native recogniser, asr/sotto, and the
// file that holds its weights: what the recogniser and its trainer share.
package recognizer

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/internal/nn"
)

// Symbols are what the network writes: symbol i of the output is Symbols[i−1],
// and symbol 0 the blank of CTC.
const Symbols = " 'abcdefghijklmnopqrstuvwxyz"

// Outputs is the number of values of an output row.
const Outputs = 1 + len(Symbols)

// Config is the shape of a network; it travels with the weights.
type Config struct {
	Inputs    int     `json:"inputs"`     // values of a latent of the codec
	FrameRate float64 `json:"frame_rate"` // latents a second
	Width     int     `json:"width"`      // channels
	Expansion int     `json:"expansion"`  // of the hidden layers of ConvNeXt blocks
	Side      int     `json:"side"`       // of those at half the rate of latents
	Taps      int     `json:"taps"`       // of their depthwise convolutions
	Blocks    int     `json:"blocks"`     // of attention and convolution
	Heads     int     `json:"heads"`      //
	Left      int     `json:"left"`       // rows of those blocks that a chunk sees before itself
	Lookahead int     `json:"lookahead"`  // rows at half the rate of latents that a convolution sees ahead
}

// DefaultConfig is the shape of the shipped model.
func DefaultConfig() Config {
	return Config{
		Inputs: 64, FrameRate: 50,
		Width: 192, Expansion: 3, Side: 2, Taps: 7, Blocks: 6, Heads: 3, Left: 100, Lookahead: 2,
	}
}

// Validate reports a shape that cannot be built, or is too large to be meant.
func (c Config) Validate() error {
	const most = 1 << 12
	for _, f := range []struct {
		name   string
		v, low int
	}{
		{"inputs", c.Inputs, 1}, {"width", c.Width, 1}, {"expansion", c.Expansion, 1}, {"side", c.Side, 1}, {"taps", c.Taps, 1},
		{"blocks", c.Blocks, 1}, {"heads", c.Heads, 1}, {"left", c.Left, 1}, {"lookahead", c.Lookahead, 0},
	} {
		if f.v < f.low || f.v > most {
			return fmt.Errorf("recognizer: %s is out of range", f.name)
		}
	}
	if c.Width%(2*c.Heads) != 0 {
		return fmt.Errorf("recognizer: width %d is no multiple of twice %d heads", c.Width, c.Heads)
	}
	if c.Left > rotaryPeriod/2 || c.Lookahead%Slow != 0 {
		return fmt.Errorf("recognizer: left %d or lookahead %d is out of range", c.Left, c.Lookahead)
	}
	if !(c.FrameRate > 0 && c.FrameRate < 1e6) {
		return fmt.Errorf("recognizer: frame_rate is out of range")
	}
	return nil
}

// Rates between the parts of the network.
const (
	// Fast is the number of latents of a row of the convolutions around the blocks.
	Fast = 2
	// Slow is the number of those rows of a row of the blocks of attention.
	Slow = 2
	// Unit is the number of latents that a step takes a multiple of.
	Unit = Fast * Slow
)

// rotaryPeriod is the number of rows in which all angles repeat.
const rotaryPeriod = 2048

// Network turns latents of the codec into scores of symbols: convolutions at the
// rate of latents and at half of it, blocks of attention and convolution at a
// quarter, and back (after the U-Net of Kim et al. 2022, Squeezeformer). Scores come
// at the rate of latents: fast talkers say 20 letters a second, and a letter that
// repeats needs a blank between.
type Network struct {
	Config
	Norm    *nn.LayerNorm
	Front   *nn.ConvNeXt // at the rate of latents
	Input   *nn.Linear
	Local   *nn.ConvNeXt // with the lookahead
	Down    *nn.Linear
	Blocks  []Block
	Up      *nn.Linear
	Detail  *nn.ConvNeXt
	Final   *nn.LayerNorm
	Output  *nn.Linear
	Dropout *nn.Dropout
	// Middle scores the rows half way, in training only (Lee & Watanabe 2021,
	// intermediate CTC).
	Middle *nn.Linear
}

// Block is attention over the past and the present chunk, and a convolution.
type Block struct {
	Attention *nn.Attention
	Conv      *nn.ConvNeXt
}

// NewNetwork builds a network whose weights are zero but for the norms.
func NewNetwork(c Config) (*Network, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	hidden, side := c.Width*c.Expansion, c.Width*c.Side
	n := &Network{
		Config:  c,
		Norm:    nn.NewLayerNorm("norm", c.Inputs),
		Front:   nn.NewConvNeXt("front", c.Inputs, 6*c.Inputs, c.Taps, 0, layerScale),
		Input:   nn.NewLinear("input", Fast*c.Inputs, c.Width),
		Local:   nn.NewConvNeXt("local", c.Width, side, c.Taps+c.Lookahead, c.Lookahead, layerScale),
		Down:    nn.NewLinear("down", Slow*c.Width, c.Width),
		Up:      nn.NewLinear("up", c.Width, Slow*c.Width),
		Detail:  nn.NewConvNeXt("detail", c.Width, side, c.Taps, 0, layerScale),
		Final:   nn.NewLayerNorm("final", c.Width),
		Output:  nn.NewLinear("output", c.Width, Fast*Outputs),
		Middle:  nn.NewLinear("middle", c.Width, Unit*Outputs),
		Dropout: &nn.Dropout{},
	}
	rotary := nn.NewRotary(c.Width/c.Heads, rotaryPeriod)
	for i := range c.Blocks {
		name := fmt.Sprintf("block%d", i)
		attend := &nn.Attend{Channels: c.Width, Heads: c.Heads, Left: c.Left, Stride: Unit, Rotary: rotary}
		n.Blocks = append(n.Blocks, Block{
			Attention: nn.NewAttention(name+".attention", attend),
			Conv:      nn.NewConvNeXt(name+".conv", c.Width, hidden, c.Taps, 0, layerScale),
		})
	}
	return n, nil
}

const layerScale = 0.3 // where the layer scales start

// Apply is the forward pass: rows of latents, a multiple of Unit of them, become as
// many rows of scores, which trail by Delay rows. middle, where it is not nil, gets
// the scores half way.
func Apply[V any](r nn.Runner[V], n *Network, latents V, middle func(V)) V {
	x := nn.ApplyConvNeXt(r, n.Front, r.Apply(n.Norm, latents))
	x = r.Apply(n.Input, r.Apply(nn.Fold{N: Fast}, x))
	x = nn.ApplyConvNeXt(r, n.Local, x)
	h := r.Apply(n.Dropout, r.Apply(n.Down, r.Apply(nn.Fold{N: Slow}, x)))
	for i, b := range n.Blocks {
		h = nn.ApplyAttention(r, b.Attention, h)
		h = nn.ApplyConvNeXt(r, b.Conv, h)
		if middle != nil && i == n.Config.Blocks/2 {
			middle(r.Apply(nn.Unfold{N: Unit}, r.Apply(n.Middle, h)))
		}
	}
	x = r.Add(x, r.Apply(nn.Unfold{N: Slow}, r.Apply(n.Up, h)))
	x = nn.ApplyConvNeXt(r, n.Detail, x)
	return r.Apply(nn.Unfold{N: Fast}, r.Apply(n.Output, r.Apply(n.Final, x)))
}

// Delay is the number of rows by which scores trail the latents, summed over the
// layers.
func (n *Network) Delay() int {
	rows := 0
	for _, b := range []*nn.ConvNeXt{n.Local, n.Detail} {
		if b.Delay != nil {
			rows += b.Delay.Rows * Fast
		}
	}
	return rows
}

// Params lists all weights in a fixed order, those that only training uses last.
func (n *Network) Params() []*nn.Param {
	p := nn.Params(n.Norm, n.Front, n.Input, n.Local, n.Down)
	for _, b := range n.Blocks {
		p = append(p, nn.Params(b.Attention, b.Conv)...)
	}
	return append(p, nn.Params(n.Up, n.Detail, n.Final, n.Output, n.Middle)...)
}

// Init draws matrices from a normal distribution of deviation 1/√(inputs), and
// depthwise taps likewise; biases are zero. The scores start small.
func (n *Network) Init(rng *rand.Rand) {
	for _, p := range n.Params() {
		if len(p.Shape) != 2 {
			continue
		}
		scale := 1 / math.Sqrt(float64(p.Shape[0]))
		switch p {
		case n.Output.Weight, n.Middle.Weight:
			scale /= 10
		}
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64() * scale)
		}
		p.Changed()
	}
}
