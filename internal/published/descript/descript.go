// Package descript builds the encoder and the decoder of the Descript Audio Codec
// (Kumar et al. 2023, section 3.1 and appendix A), which SNAC (Siuzdak et al. 2024)
// shares: residual units of dilated convolutions between Snake activations,
// convolutions with strides, and their mirror image.
package descript

import (
	"strconv"
	"strings"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// Config is the shape of a network.
type Config struct {
	EncoderDim, DecoderDim int   // channels at the rate of the samples; before the first transposed convolution
	EncoderRates           []int // strides, in the order of the layers
	DecoderRates           []int
	LatentDim              int
	Depthwise              bool // the convolutions of 7 taps, but for the first and the last (SNAC)
	Window                 int  // rows of the windows of attention, 0 for none (SNAC)
	Noise                  bool // added to the decoder's blocks (SNAC)
	Names                  Names
}

// Names says which of two layouts a checkpoint has.
type Names struct {
	input, encoderBlock, encoderSnake, encoderOutput string
	decoderInput, decoderBlock                       string
	decoderSnake, decoderOutput                      string
	unit                                             string // of residual unit %d
	listed                                           bool   // numbers are those of a list of all layers, else blocks count from 0 and units from 1
	snake1, conv1, snake2, conv2                     string // of a unit
	snake, down, up                                  string // of a block
}

// Original is the layout of the packages' own checkpoints, whose layers are
// numbered; where a number depends on the shape, it stands here as %d.
var Original = Names{
	input: "encoder.block.0", encoderBlock: "encoder.block.%d", encoderSnake: "encoder.block.%d.alpha", encoderOutput: "encoder.block.%d",
	decoderInput: "decoder.model.0", decoderBlock: "decoder.model.%d", decoderSnake: "decoder.model.%d.alpha", decoderOutput: "decoder.model.%d",
	listed: true, unit: ".block.%d", snake1: ".block.0.alpha", conv1: ".block.1", snake2: ".block.2.alpha", conv2: ".block.3",
	snake: ".block.%d.alpha", down: ".block.4", up: ".block.1",
}

// Transformers is the layout of Hugging Face Transformers.
var Transformers = Names{
	input: "encoder.conv1", encoderBlock: "encoder.block.%d", encoderSnake: "encoder.snake1.alpha", encoderOutput: "encoder.conv2",
	decoderInput: "decoder.conv1", decoderBlock: "decoder.block.%d", decoderSnake: "decoder.snake1.alpha", decoderOutput: "decoder.conv2",
	unit: ".res_unit%d", snake1: ".snake1.alpha", conv1: ".conv1", snake2: ".snake2.alpha", conv2: ".conv2",
	snake: ".snake1.alpha", down: ".conv1", up: ".conv_t1",
}

// Hop is the number of samples of a row of latents.
func (cfg *Config) Hop() int {
	hop := 1
	for _, r := range cfg.EncoderRates {
		hop *= r
	}
	return hop
}

// Check keeps errors of a shape that cannot be.
func (cfg *Config) Check(c *published.Checkpoint) bool {
	c.Within("encoder_dim", cfg.EncoderDim, 1, 1<<10)
	c.Within("latent_dim", cfg.LatentDim, 1, 1<<14)
	c.Within("number of strides", len(cfg.EncoderRates), 1, 8)
	c.Within("number of the decoder's strides", len(cfg.DecoderRates), len(cfg.EncoderRates), len(cfg.EncoderRates))
	c.Within("decoder_dim", cfg.DecoderDim, 1<<len(cfg.DecoderRates), 1<<14)
	c.Within("attn_window_size", cfg.Window, 0, 1<<10)
	up := 1
	for _, rates := range [][]int{cfg.EncoderRates, cfg.DecoderRates} {
		for _, r := range rates {
			c.Within("stride", r, 1, 64)
		}
	}
	for _, r := range cfg.DecoderRates {
		up *= r
	}
	if c.Sound() {
		c.Within("product of the decoder's strides", up, cfg.Hop(), cfg.Hop())
		c.Within("decoder_dim modulo its halvings", cfg.DecoderDim%(1<<len(cfg.DecoderRates)), 0, 0)
	}
	return c.Sound()
}

// builder numbers the layers as the checkpoints do.
type builder struct {
	c     *published.Checkpoint
	cfg   *Config
	index int // of the next layer of the original's list
}

// name fills in the number of a layer, where the layout has one.
func (b *builder) name(pattern string) string {
	if b.cfg.Names.listed {
		return numbered(pattern, b.index)
	}
	return numbered(pattern, b.index-1)
}

// numbered fills in a number.
func numbered(pattern string, n int) string {
	return strings.ReplaceAll(pattern, "%d", strconv.Itoa(n))
}

// conv is a convolution that keeps the number of rows.
func (b *builder) conv(name string, in, out, kernel, dilation int, depthwise bool) *nn.Conv1d {
	side := (kernel - 1) * dilation / 2
	l := &nn.Conv1d{In: in, Out: out, Kernel: kernel, Dilation: dilation, Pad: nn.Padding{Left: side, Right: side}}
	if depthwise {
		l.Groups = in
	}
	return b.c.Conv(l, name)
}

// units are the three residual units of a block; at is where the original's list
// has the first.
func (b *builder) units(block string, at, channels int) nn.Chain {
	n := b.cfg.Names
	var chain nn.Chain
	for i, dilation := range []int{1, 3, 9} {
		number := i + 1
		if n.listed {
			number = at + i
		}
		name := block + numbered(n.unit, number)
		conv := b.conv(name+n.conv1, channels, channels, 7, dilation, b.cfg.Depthwise)
		before := b.c.Snake(name+n.snake1, channels)
		conv.After = b.c.Snake(name+n.snake2, channels)
		chain = append(chain, &nn.Residual{Branch: nn.Chain{before, conv, b.conv(name+n.conv2, channels, channels, 1, 1, false)}})
	}
	return chain
}

// Encoder gives latents [T, LatentDim] of samples [N, 1].
func Encoder(c *published.Checkpoint, cfg Config) nn.Chain {
	b, n := &builder{c: c, cfg: &cfg, index: 1}, cfg.Names
	channels := cfg.EncoderDim
	chain := nn.Chain{b.conv(n.input, 1, channels, 7, 1, false)}
	for _, stride := range cfg.EncoderRates {
		block := b.name(n.encoderBlock)
		chain = append(chain, b.units(block, 0, channels)...)
		pad := (stride + 1) / 2
		chain = append(chain, c.Snake(block+numbered(n.snake, 3), channels), c.Conv(&nn.Conv1d{
			In: channels, Out: 2 * channels, Kernel: 2 * stride, Stride: stride, Pad: nn.Padding{Left: pad, Right: pad},
		}, block+n.down))
		channels *= 2
		b.index++
	}
	if cfg.Window > 0 {
		chain = append(chain, attention(c, b.name(n.encoderBlock), channels, cfg.Window))
		b.index++
	}
	if cfg.Depthwise {
		return append(chain, b.conv(b.name(n.encoderOutput), channels, cfg.LatentDim, 7, 1, true))
	}
	snake := c.Snake(b.name(n.encoderSnake), channels)
	b.index++
	return append(chain, snake, b.conv(b.name(n.encoderOutput), channels, cfg.LatentDim, 3, 1, false))
}

// Decoder gives samples [N, 1] of latents [T, LatentDim].
func Decoder(c *published.Checkpoint, cfg Config) nn.Chain {
	b, n := &builder{c: c, cfg: &cfg, index: 1}, cfg.Names
	channels := cfg.DecoderDim
	var chain nn.Chain
	if cfg.Depthwise {
		chain = append(chain, b.conv(n.decoderInput, cfg.LatentDim, cfg.LatentDim, 7, 1, true),
			b.conv(b.name(n.decoderBlock), cfg.LatentDim, channels, 1, 1, false))
		b.index++
	} else {
		chain = append(chain, b.conv(n.decoderInput, cfg.LatentDim, channels, 7, 1, false))
	}
	if cfg.Window > 0 {
		chain = append(chain, attention(c, b.name(n.decoderBlock), channels, cfg.Window))
		b.index++
	}
	for i, stride := range cfg.DecoderRates {
		block := b.name(n.decoderBlock)
		pad, units := (stride+1)/2, 2
		trim := pad
		if cfg.Depthwise {
			trim -= stride % 2 // SNAC's output padding
		}
		chain = append(chain, c.Snake(block+numbered(n.snake, 0), channels), c.ConvTranspose(&nn.ConvTranspose1d{
			In: channels, Out: channels / 2, Kernel: 2 * stride, Stride: stride, TrimLeft: pad, TrimRight: trim,
		}, block+n.up))
		channels /= 2
		if cfg.Noise {
			chain = append(chain, &noise{Linear: c.LinearNoBias(block+".block.2.linear", channels, channels), block: i})
			units++
		}
		chain = append(chain, b.units(block, units, channels)...)
		b.index++
	}
	snake := c.Snake(b.name(n.decoderSnake), channels)
	b.index++
	output := b.conv(b.name(n.decoderOutput), channels, 1, 7, 1, false)
	output.After = nn.Activation{Func: backend.Tanh}
	return append(chain, snake, output)
}
