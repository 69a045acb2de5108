// Package hificodec runs HiFi-Codec (Yang et al. 2023): an encoder of strided
// convolutions and residual blocks, two groups of two residual codebooks, and the
// generator of HiFi-GAN (Kong et al. 2020) as decoder, at 16 kHz with frames of 320
// samples and at 24 kHz with 320 or 240.
//
// The encoder normalises over the whole signal, so longer ones run in windows; the
// decoder streams. Importing the package makes codec.Load know the checkpoints of
// AcademiCodec, one file with encoder, quantizer and generator beside its JSON.
package hificodec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// Family is the name of this family of models.
const Family = "hificodec"

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

// config is the JSON file of a recipe.
type config struct {
	ResBlock        string  `json:"resblock"`
	Rates           []int   `json:"upsample_rates"`
	Kernels         []int   `json:"upsample_kernel_sizes"`
	InitialChannels int     `json:"upsample_initial_channel"`
	BlockKernels    []int   `json:"resblock_kernel_sizes"`
	BlockDilations  [][]int `json:"resblock_dilation_sizes"`
	SampleRate      int     `json:"sampling_rate"`
	Groups          int     `json:"n_code_groups"`
	Codes           int     `json:"n_codes"`
}

func detect(c *published.Checkpoint) bool {
	return c.HasWeight("generator.conv_pre") && c.Has("quantizer.quantizer_modules.0.embedding.weight")
}

// check keeps errors of sizes that cannot be.
func (cfg *config) check(c *published.Checkpoint) bool {
	c.Within("sampling_rate", cfg.SampleRate, 1000, 192000)
	c.Within("upsample_initial_channel", cfg.InitialChannels, 1, 1<<13)
	c.Within("number of upsample_rates", len(cfg.Rates), 1, 8)
	c.Within("number of upsample_kernel_sizes", len(cfg.Kernels), len(cfg.Rates), len(cfg.Rates))
	c.Within("number of resblock_kernel_sizes", len(cfg.BlockKernels), 1, 8)
	c.Within("number of resblock_dilation_sizes", len(cfg.BlockDilations), len(cfg.BlockKernels), len(cfg.BlockKernels))
	c.Within("n_code_groups", cfg.Groups, 1, 16)
	c.Within("n_codes", cfg.Codes, 2, 1<<16)
	for i, r := range cfg.Rates {
		c.Within("upsample_rates", r, 1, 64)
		if i < len(cfg.Kernels) {
			c.Within("upsample_kernel_sizes", cfg.Kernels[i], r, 256)
		}
	}
	for _, k := range cfg.BlockKernels {
		c.Within("resblock_kernel_sizes", k, 1, 63)
	}
	for _, all := range cfg.BlockDilations {
		c.Within("number of dilations", len(all), 1, 8)
		for _, d := range all {
			c.Within("resblock_dilation_sizes", d, 1, 64)
		}
	}
	return c.Sound()
}

func build(c *published.Checkpoint) (*published.Model, error) {
	var cfg config
	has, err := c.Config(&cfg)
	if err != nil {
		return nil, err
	}
	if !has {
		return nil, errors.New("its recipe is missing: put config_….json beside it")
	}
	// The width of the first convolution and the latents' are the code's, not the
	// recipe's.
	first, last := c.Shape("encoder.conv_pre.weight_v"), c.Shape("encoder.conv_post.weight")
	if !cfg.check(c) || len(first) != 3 || len(last) != 3 {
		return nil, errors.New("encoder.conv_pre or encoder.conv_post is missing or no convolution")
	}
	b := &builder{Checkpoint: c, config: &cfg, width: first[0], dim: last[0]}
	c.Within("dimension", b.dim, cfg.Groups, 1<<14)
	c.Within("width", b.width, 2, 1<<12)
	if !c.Sound() {
		return nil, nil
	}
	q, levels := b.quantizer()
	hop := 1
	for _, r := range cfg.Rates {
		hop *= r
	}
	return &published.Model{
		Name:       fmt.Sprintf("hificodec-%dk-%dd", cfg.SampleRate/1000, hop),
		SampleRate: cfg.SampleRate, Hop: hop, Levels: levels,
		Encoder: b.encoder(), Quantizer: q, Decoder: b.generator(),
	}, nil
}

// builder builds the parts; its methods name the arrays.
type builder struct {
	*published.Checkpoint
	*config
	width, dim int
}

var leaky = nn.Activation{Func: backend.LeakyReLU}

// conv is a convolution that keeps the length.
func (b *builder) conv(name string, in, out, kernel, dilation int) *nn.Conv1d {
	pad := (kernel*dilation - dilation) / 2
	return b.Conv(&nn.Conv1d{In: in, Out: out, Kernel: kernel, Dilation: dilation, Pad: nn.Padding{Left: pad, Right: pad}}, name)
}

// block is a residual block of HiFi-GAN: of two convolutions for each dilation in
// the first form, of one in the second.
func (b *builder) block(name string, channels, kernel int, dilations []int) nn.Layer {
	var chain nn.Chain
	for i, d := range dilations {
		var branch nn.Chain
		if b.ResBlock == "1" {
			first := b.conv(fmt.Sprintf("%s.convs1.%d", name, i), channels, channels, kernel, d)
			first.After = leaky
			branch = nn.Chain{leaky, first, b.conv(fmt.Sprintf("%s.convs2.%d", name, i), channels, channels, kernel, 1)}
		} else {
			branch = nn.Chain{leaky, b.conv(fmt.Sprintf("%s.convs.%d", name, i), channels, channels, kernel, d)}
		}
		chain = append(chain, &nn.Residual{Branch: branch})
	}
	return chain
}

// encoder is the mirror image of the generator. Its sum of residual blocks is
// normalised after each.
func (b *builder) encoder() nn.Layer {
	n := len(b.BlockKernels)
	chain := nn.Chain{b.conv("encoder.conv_pre", 1, b.width, 7, 1), leaky}
	channels := b.width
	for i := range b.Rates {
		rate, kernel := b.Rates[len(b.Rates)-1-i], b.Kernels[len(b.Rates)-1-i]
		pad := (kernel - rate) / 2
		down := &nn.Conv1d{In: channels, Out: 2 * channels, Kernel: kernel, Stride: rate, Pad: nn.Padding{Left: pad, Right: pad}}
		chain = append(chain, b.Conv(down, fmt.Sprintf("encoder.ups.%d", i)))
		channels *= 2
		var sum nn.Layer
		for j := range n {
			at := i*n + j
			block := b.block(fmt.Sprintf("encoder.resblocks.%d", at), channels, b.BlockKernels[n-1-j], b.BlockDilations[n-1-j])
			// A group has half the first convolution's channels: 16.
			norm := b.GroupNorm(fmt.Sprintf("encoder.normalize.%d", at), channels/(b.width/2), channels, 1e-6)
			if sum == nil {
				sum = nn.Chain{block, norm}
			} else {
				sum = nn.Chain{&nn.Residual{Branch: block, Shortcut: sum}, norm}
			}
		}
		act := backend.LeakyReLU
		if i == len(b.Rates)-1 {
			act = backend.LeakyReLU100
		}
		chain = append(chain, sum, mean{n, act})
	}
	return append(chain, b.conv("encoder.conv_post", channels, b.dim, 3, 1))
}

// generator is that of HiFi-GAN.
func (b *builder) generator() nn.Layer {
	n := len(b.BlockKernels)
	channels := b.InitialChannels
	chain := nn.Chain{b.conv("generator.conv_pre", b.dim, channels, 7, 1), leaky}
	for i, rate := range b.Rates {
		kernel := b.Kernels[i]
		trim := (kernel - rate) / 2
		up := &nn.ConvTranspose1d{In: channels, Out: channels / 2, Kernel: kernel, Stride: rate, TrimLeft: trim, TrimRight: trim}
		chain = append(chain, b.ConvTranspose(up, fmt.Sprintf("generator.ups.%d", i)))
		channels /= 2
		var sum nn.Layer
		for j := range n {
			block := b.block(fmt.Sprintf("generator.resblocks.%d", i*n+j), channels, b.BlockKernels[j], b.BlockDilations[j])
			if sum == nil {
				sum = block
			} else {
				sum = &nn.Residual{Branch: block, Shortcut: sum}
			}
		}
		chain = append(chain, sum, mean{n, backend.LeakyReLU})
	}
	post := b.conv("generator.conv_post", channels, 1, 7, 1)
	post.After = nn.Activation{Func: backend.Tanh}
	return append(chain, post)
}

// mean is a leaky ReLU of a sum of n blocks, divided by n.
type mean struct {
	n   int
	act backend.Activation
}

// Params is empty.
func (mean) Params() []*nn.Param { return nil }

// Step activates and divides, which is the same in either order.
func (m mean) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	s.Finish(y, x, backend.Epilogue{Act: m.act, Scale: slices.Repeat([]float32{1 / float32(m.n)}, x.Cols)})
	return y
}

// quantizer is the group-residual one: each group of the latents has codebooks of
// its own. The order of a frame's codes is level 0 of every group, then level 1.
func (b *builder) quantizer() (published.Quantizer, []int) {
	q := &published.Grouped{}
	size := b.dim / b.Groups
	for g := range b.Groups {
		r := &published.Residual{}
		for _, module := range []string{"quantizer_modules", "quantizer_modules2"} {
			book := b.Codebook(fmt.Sprintf("quantizer.%s.%d.embedding.weight", module, g), b.Codes, size)
			r.Levels = append(r.Levels, published.Level{Book: book})
		}
		q.Groups = append(q.Groups, r)
	}
	return q, []int{b.Groups, 2 * b.Groups}
}
