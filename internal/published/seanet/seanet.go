// Package seanet builds the encoder and the decoder that EnCodec (Défossez et al.
// 2022, section 3.1) and its descendants share: convolutions with strides, each
// after residual blocks, an LSTM, and a projection; and their mirror image.
package seanet

import (
	"fmt"
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// Config is the shape of a network, under the names of EnCodec's constructor.
type Config struct {
	Channels       int   // of the signal
	Dimension      int   // of the latents
	Filters        int   // of the widest rate, doubled at every stride
	ResidualLayers int   // blocks at each rate
	Ratios         []int // strides, as the decoder has them
	Kernel         int   // of the first convolution
	LastKernel     int
	ResidualKernel int
	DilationBase   int // of a block's first convolution: DilationBase^index
	Compress       int // of a block's inner channels
	Causal         bool
	PadMode        nn.PadMode
	TrueSkip       bool    // a block adds its input itself, not a convolution of it
	LSTM           int     // layers, 0 for none
	Bidirectional  bool    // the encoder's
	TrimRight      float64 // share of a transposed convolution's overlap that is cut at the end, where causal
	TimeGroupNorm  bool    // after every convolution, instead of weight norm
	Names          Names
}

// Names are what the arrays of a network are called.
type Names struct {
	List                                 string // of the layers, in encoder and decoder
	Conv, Norm, Transposed, TransposedNm string // of a layer's parts
}

// Names of the original and of Hugging Face Transformers.
var (
	Original     = Names{"model", "conv.conv", "conv.norm", "convtr.convtr", "convtr.norm"}
	Transformers = Names{"layers", "conv", "norm", "conv", "norm"}
)

// Default is EnCodec's shape at 24 kHz.
func Default() Config {
	return Config{
		Channels: 1, Dimension: 128, Filters: 32, ResidualLayers: 1, Ratios: []int{8, 5, 4, 2}, Kernel: 7, LastKernel: 7, ResidualKernel: 3,
		DilationBase: 2, Compress: 2, Causal: true, PadMode: nn.PadReflect, LSTM: 2, TrimRight: 1, Names: Original,
	}
}

// Hop is the number of samples of a frame.
func (cfg *Config) Hop() int {
	hop := 1
	for _, r := range cfg.Ratios {
		hop *= r
	}
	return hop
}

// Check keeps errors of a shape that cannot be.
func (cfg *Config) Check(c *published.Checkpoint) bool {
	c.Within("channels", cfg.Channels, 1, 2)
	c.Within("dimension", cfg.Dimension, 1, 1<<14)
	c.Within("filters", cfg.Filters, 1, 1<<10)
	c.Within("residual layers", cfg.ResidualLayers, 0, 16)
	c.Within("number of strides", len(cfg.Ratios), 1, 8)
	for _, r := range cfg.Ratios {
		c.Within("stride", r, 1, 64)
	}
	for _, k := range []int{cfg.Kernel, cfg.LastKernel, cfg.ResidualKernel} {
		c.Within("kernel", k, 1, 63)
	}
	c.Within("dilation", cfg.DilationBase, 1, 8)
	c.Within("compression", cfg.Compress, 1, cfg.Filters)
	c.Within("LSTM layers", cfg.LSTM, 0, 16)
	if cfg.TrimRight < 0 || cfg.TrimRight > 1 {
		c.Within("trim_right_ratio in percent", int(100*cfg.TrimRight), 0, 100)
	}
	return c.Sound()
}

// builder numbers the layers as the checkpoints do.
type builder struct {
	c     *published.Checkpoint
	cfg   *Config
	part  string // encoder or decoder
	index int
	chain nn.Chain
}

func (b *builder) name() string { return fmt.Sprintf("%s.%s.%d", b.part, b.cfg.Names.List, b.index) }

// add appends what is one layer in the checkpoint.
func (b *builder) add(layers ...nn.Layer) {
	b.chain = append(b.chain, layers...)
	b.index++
}

var elu = nn.Activation{Func: backend.ELU}

// conv is a convolution with the padding of EnCodec, and its norm.
func (b *builder) conv(name string, in, out, kernel, stride, dilation int) nn.Chain {
	total := (kernel-1)*dilation + 1 - stride
	left := total
	if !b.cfg.Causal {
		left = total - total/2 // the larger half
	}
	l := &nn.Conv1d{
		In: in, Out: out, Kernel: kernel, Stride: stride, Dilation: dilation,
		Pad: nn.Padding{Left: left, Right: total - left, Mode: b.cfg.PadMode, Fill: true},
	}
	chain := nn.Chain{b.c.Conv(l, name+"."+b.cfg.Names.Conv)}
	if b.cfg.TimeGroupNorm {
		chain = append(chain, b.c.GroupNorm(name+"."+b.cfg.Names.Norm, 1, out, 1e-5))
	}
	return chain
}

// block is a residual block: two convolutions, the first one dilated.
func (b *builder) block(channels, dilation int) {
	name, hidden := b.name(), channels/b.cfg.Compress
	branch := nn.Chain{elu}
	first := b.conv(name+".block.1", channels, hidden, b.cfg.ResidualKernel, 1, dilation)
	if conv, ok := first[len(first)-1].(*nn.Conv1d); ok {
		conv.After = elu
		branch = append(branch, first...)
	} else {
		branch = append(append(branch, first...), elu)
	}
	branch = append(branch, b.conv(name+".block.3", hidden, channels, 1, 1, 1)...)
	r := &nn.Residual{Branch: branch}
	if !b.cfg.TrueSkip {
		r.Shortcut = b.conv(name+".shortcut", channels, channels, 1, 1, 1)
	}
	b.add(r)
}

func (b *builder) blocks(channels int) {
	dilation := 1
	for range b.cfg.ResidualLayers {
		b.block(channels, dilation)
		dilation *= b.cfg.DilationBase
	}
}

// lstm adds what it makes of its input to it; in both directions, to the input
// twice.
func (b *builder) lstm(channels int, both bool) {
	if b.cfg.LSTM == 0 {
		return
	}
	stack := b.c.LSTM(b.name()+".lstm", channels, channels, b.cfg.LSTM, both)
	var shortcut nn.Layer
	if both {
		shortcut = nn.Repeat(2)
	}
	b.add(&nn.Residual{Branch: stack, Shortcut: shortcut})
}

// Encoder gives latents [T, Dimension] of samples [N, Channels].
func Encoder(c *published.Checkpoint, cfg Config) nn.Chain {
	b := &builder{c: c, cfg: &cfg, part: "encoder"}
	channels := cfg.Filters
	b.add(b.conv(b.name(), cfg.Channels, channels, cfg.Kernel, 1, 1)...)
	for i := len(cfg.Ratios) - 1; i >= 0; i-- {
		b.blocks(channels)
		b.add(elu)
		b.add(b.conv(b.name(), channels, 2*channels, 2*cfg.Ratios[i], cfg.Ratios[i], 1)...)
		channels *= 2
	}
	b.lstm(channels, cfg.Bidirectional)
	b.add(elu)
	if cfg.Bidirectional && cfg.LSTM > 0 {
		channels *= 2
	}
	b.add(b.conv(b.name(), channels, cfg.Dimension, cfg.LastKernel, 1, 1)...)
	return b.chain
}

// Decoder gives samples [N, Channels] of latents [T, Dimension].
func Decoder(c *published.Checkpoint, cfg Config) nn.Chain {
	b := &builder{c: c, cfg: &cfg, part: "decoder"}
	channels := cfg.Filters << len(cfg.Ratios)
	b.add(b.conv(b.name(), cfg.Dimension, channels, cfg.Kernel, 1, 1)...)
	b.lstm(channels, false)
	for _, r := range cfg.Ratios {
		b.add(elu)
		b.add(b.transposed(channels, channels/2, r)...)
		channels /= 2
		b.blocks(channels)
	}
	b.add(elu)
	b.add(b.conv(b.name(), channels, cfg.Channels, cfg.LastKernel, 1, 1)...)
	return b.chain
}

// transposed is a transposed convolution whose overlap is cut, and its norm, which
// sees the overlap.
func (b *builder) transposed(in, out, stride int) nn.Chain {
	right := stride / 2
	if b.cfg.Causal {
		right = int(math.Ceil(float64(stride) * b.cfg.TrimRight))
	}
	l := &nn.ConvTranspose1d{In: in, Out: out, Kernel: 2 * stride, Stride: stride}
	b.c.ConvTranspose(l, b.name()+"."+b.cfg.Names.Transposed)
	if !b.cfg.TimeGroupNorm {
		l.TrimLeft, l.TrimRight = stride-right, right
		return nn.Chain{l}
	}
	return nn.Chain{l, b.c.GroupNorm(b.name()+"."+b.cfg.Names.TransposedNm, 1, out, 1e-5), &nn.Trim{Left: stride - right, Right: right}}
}

// Infer fills the sizes of cfg that the arrays of an encoder tell: what original
// checkpoints come without. It reports whether there is an encoder.
func Infer(c *published.Checkpoint, cfg *Config) bool {
	b := &builder{c: c, cfg: cfg, part: "encoder"}
	first := kernel(c, b.name()+"."+cfg.Names.Conv)
	if first == nil {
		return false
	}
	cfg.Filters, cfg.Channels, cfg.Kernel = first[0], first[1], first[2]
	cfg.Ratios, cfg.ResidualLayers, cfg.LSTM = nil, 0, 0
	blocks := 0
	for b.index = 1; b.index < 256; b.index++ {
		if inner := kernel(c, b.name()+".block.1."+cfg.Names.Conv); inner != nil {
			blocks++
			cfg.Compress = max(cfg.Filters, 1) << len(cfg.Ratios) / max(inner[0], 1)
			cfg.ResidualKernel = inner[2]
			cfg.TrueSkip = kernel(c, b.name()+".shortcut."+cfg.Names.Conv) == nil
		}
		for c.Has(fmt.Sprintf("%s.lstm.weight_ih_l%d", b.name(), cfg.LSTM)) {
			cfg.Bidirectional = c.Has(b.name() + ".lstm.weight_ih_l0_reverse")
			cfg.LSTM++
		}
		conv := kernel(c, b.name()+"."+cfg.Names.Conv)
		switch {
		case conv == nil:
		case conv[0] == cfg.Filters<<(len(cfg.Ratios)+1) && conv[2]%2 == 0 && cfg.LSTM == 0:
			cfg.Ratios = append([]int{conv[2] / 2}, cfg.Ratios...)
			cfg.ResidualLayers, blocks = blocks, 0
		default:
			cfg.Dimension, cfg.LastKernel = conv[0], conv[2]
		}
	}
	cfg.TimeGroupNorm = c.Has("encoder." + cfg.Names.List + ".0." + cfg.Names.Norm + ".weight")
	return true
}

// kernel is the shape of the weight of a convolution, nil where there is none.
func kernel(c *published.Checkpoint, name string) []int {
	if s := c.WeightShape(name); len(s) == 3 {
		return s
	}
	return nil
}
