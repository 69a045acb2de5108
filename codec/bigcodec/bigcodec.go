// Package bigcodec runs BigCodec (Xin et al. 2024): one codebook of 8,192 entries at
// 80 frames a second of 16 kHz, from the checkpoint of its makers.
//
// Its network is that of DAC with an LSTM in both halves and activations at twice
// the rate. Importing the package makes codec.Load know the file.
package bigcodec

import (
	"fmt"
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// Family is the name of this family of models.
const Family = "bigcodec"

// sampleRate of the published model, in Hz.
const sampleRate = 16000

// Prefixes of the names of both halves.
const (
	encoderPrefix = "CodecEnc."
	decoderPrefix = "generator."
)

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

func detect(c *published.Checkpoint) bool {
	return c.HasWeight(encoderPrefix+"block.0") && c.Has(decoderPrefix+"quantizer.layers.0._codebook.weight")
}

func build(c *published.Checkpoint) (*published.Model, error) {
	m := &published.Model{Name: "bigcodec", SampleRate: sampleRate, Hop: 1}
	c.Prefix = encoderPrefix
	m.Encoder = encoder(c, &m.Hop)
	c.Prefix = decoderPrefix
	if !c.Sound() {
		return nil, nil
	}
	q := &published.Residual{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("quantizer.layers.%d", i)
		shape := c.Shape(name + "._codebook.weight")
		latent := c.WeightShape(name + ".in_proj")
		if len(shape) != 2 || len(latent) != 2 {
			break
		}
		book := c.Codebook(name+"._codebook.weight", shape[0], shape[1])
		book.Cosine = true
		q.Levels = append(q.Levels, published.Level{
			Book: book, In: c.Linear(name+".in_proj", latent[1], shape[1]), Out: c.Linear(name+".out_proj", shape[1], latent[1]),
		})
	}
	c.Within("number of codebooks", len(q.Levels), 1, 64)
	m.Quantizer, m.PadInput = q, m.Hop
	hop := 1
	m.Decoder = decoder(c, &hop)
	c.Within("product of the decoder's strides", hop, m.Hop, m.Hop)
	return m, nil
}

// shape is that of the weight of a convolution, and an error where there is none.
func shape(c *published.Checkpoint, name string) [3]int {
	s := c.WeightShape(name)
	if len(s) != 3 || slices.Max(s) > 1<<14 || slices.Min(s) < 1 {
		c.Fail(fmt.Errorf("%s.weight is missing, or not of a convolution", name))
		return [3]int{1, 1, 1}
	}
	return [3]int(s)
}

// conv is a convolution that keeps the number of rows, of the shape that its weight
// has.
func conv(c *published.Checkpoint, name string, dilation int) *nn.Conv1d {
	s := shape(c, name)
	side := (s[2] - 1) * dilation / 2
	return c.Conv(&nn.Conv1d{In: s[1], Out: s[0], Kernel: s[2], Dilation: dilation, Pad: nn.Padding{Left: side, Right: side}}, name)
}

// activation is Snake with a magnitude of its own, parameters kept as logarithms,
// at twice the rate (Lee et al. 2023, BigVGAN).
func activation(c *published.Checkpoint, name string, channels int) nn.Layer {
	alpha, beta := c.Param(name+".act.alpha", channels), c.Param(name+".act.beta", channels)
	up, down := c.Get(name+".upsample.filter", 1, 1, 12), c.Get(name+".downsample.lowpass.filter", 1, 1, 12)
	for i := range alpha.Data {
		alpha.Data[i] = f32.Exp(alpha.Data[i])
	}
	for i := range beta.Data {
		beta.Data[i] = 1 / (f32.Exp(beta.Data[i]) + 1e-9)
	}
	return nn.NewAliasFree(channels, up, down, &nn.Snake{Alpha: alpha, Inverse: beta})
}

// units are the residual units of a block, from the one that its list has at that
// place.
func units(c *published.Checkpoint, block string, at, channels int) nn.Chain {
	var chain nn.Chain
	for i, dilation := range []int{1, 3, 9} {
		name := fmt.Sprintf("%s.block.%d.block.", block, at+i)
		chain = append(chain, &nn.Residual{Branch: nn.Chain{
			activation(c, name+"0", channels), conv(c, name+"1", dilation),
			activation(c, name+"2", channels), conv(c, name+"3", 1),
		}})
	}
	return chain
}

// lstm adds what its layers make of the rows to them, where there is one.
func lstm(c *published.Checkpoint, name string, channels int) nn.Chain {
	layers := 0
	for c.Has(fmt.Sprintf("%s.lstm.weight_ih_l%d", name, layers)) && layers < 16 {
		layers++
	}
	if layers == 0 {
		return nil
	}
	return nn.Chain{&nn.Residual{Branch: c.LSTM(name+".lstm", channels, channels, layers, false)}}
}

// encoder gives latents of samples, and multiplies hop by its strides.
func encoder(c *published.Checkpoint, hop *int) nn.Chain {
	input := conv(c, "block.0", 1)
	chain, channels, i := nn.Chain{input}, input.Out, 1
	for ; c.HasWeight(fmt.Sprintf("block.%d.block.4", i)) && c.Sound(); i++ {
		block := fmt.Sprintf("block.%d", i)
		chain = append(chain, units(c, block, 0, channels)...)
		s := shape(c, block+".block.4")
		stride := s[2] / 2
		c.Within("stride", stride, 1, 64)
		pad := (stride + 1) / 2
		chain = append(chain, activation(c, block+".block.3", channels), c.Conv(&nn.Conv1d{
			In: channels, Out: s[0], Kernel: 2 * stride, Stride: stride, Pad: nn.Padding{Left: pad, Right: pad},
		}, block+".block.4"))
		channels, *hop = s[0], *hop*stride
	}
	if memory := lstm(c, fmt.Sprintf("block.%d", i), channels); memory != nil {
		chain = append(chain, memory...)
		i++
	}
	return append(chain, activation(c, fmt.Sprintf("block.%d", i), channels), conv(c, fmt.Sprintf("block.%d", i+1), 1))
}

// decoder gives samples of latents, and multiplies hop by its strides.
func decoder(c *published.Checkpoint, hop *int) nn.Chain {
	input := conv(c, "model.0", 1)
	chain, channels, i := nn.Chain{input}, input.Out, 1
	if memory := lstm(c, "model.1", channels); memory != nil {
		chain = append(chain, memory...)
		i++
	}
	for ; c.HasWeight(fmt.Sprintf("model.%d.block.1", i)) && c.Sound(); i++ {
		block := fmt.Sprintf("model.%d", i)
		s := shape(c, block+".block.1")
		stride := s[2] / 2
		c.Within("stride", stride, 1, 64)
		pad := (stride + 1) / 2
		chain = append(chain, activation(c, block+".block.0", channels), c.ConvTranspose(&nn.ConvTranspose1d{
			In: channels, Out: s[1], Kernel: 2 * stride, Stride: stride, TrimLeft: pad, TrimRight: pad - stride%2,
		}, block+".block.1"))
		channels, *hop = s[1], *hop*stride
		chain = append(chain, units(c, block, 2, channels)...)
	}
	output := conv(c, fmt.Sprintf("model.%d", i+1), 1)
	output.After = nn.Activation{Func: backend.Tanh}
	return append(chain, activation(c, fmt.Sprintf("model.%d", i), channels), output)
}
