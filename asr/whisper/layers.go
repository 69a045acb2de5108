package whisper

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// block is one layer of the encoder or, with cross-attention, of the decoder:
// attention, then a perceptron, each on normalised rows and added to them
// (Radford et al. 2022, figure 1).
type block struct {
	norm             *nn.LayerNorm
	attention        attention
	crossNorm        *nn.LayerNorm // nil in the encoder
	cross            attention
	perceptronNorm   *nn.LayerNorm
	expand, contract *nn.Linear
}

// attention is scaled dot-product attention of several heads.
type attention struct {
	query, key, value, out *nn.Linear
	heads                  int
}

// scale is that of scores.
func (a *attention) scale() float32 { return inverseSqrt(a.query.Out / a.heads) }

// queries sets q to the queries of x.
func (a *attention) queries(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	q := s.Tensor(x.Rows, a.query.Out)
	a.query.Into(s.Backend, q, x, backend.Epilogue{})
	return q
}

// project adds the output of attention to x.
func (a *attention) project(s *nn.Stream, x, y *backend.Tensor) *backend.Tensor {
	z := s.Tensor(x.Rows, x.Cols)
	a.out.Into(s.Backend, z, y, backend.Epilogue{Residual: x})
	return z
}

// perceive adds the perceptron's output to x.
func (b *block) perceive(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	h := s.Tensor(x.Rows, b.expand.Out)
	b.expand.Into(s.Backend, h, b.perceptronNorm.Step(s, x), backend.Epilogue{Act: backend.GELUErf})
	y := s.Tensor(x.Rows, x.Cols)
	b.contract.Into(s.Backend, y, h, backend.Epilogue{Residual: x})
	return y
}

// cache holds keys and values, a row each.
type cache struct{ keys, values *backend.Tensor }

func newCache(b backend.Backend, rows, width int) cache {
	return cache{b.New(rows, width), b.New(rows, width)}
}

// fill sets rows from at on to the keys and values of x.
func (c *cache) fill(s *nn.Stream, a *attention, x *backend.Tensor, at int) {
	a.key.Into(s.Backend, s.Rows(c.keys, at, at+x.Rows), x, backend.Epilogue{})
	a.value.Into(s.Backend, s.Rows(c.values, at, at+x.Rows), x, backend.Epilogue{})
}

// loader makes layers of a checkpoint's tensors and keeps the first error.
type loader struct {
	*checkpoint
	backend   backend.Backend
	precision backend.Precision
	adapter   *Adapter // merged where it is not nil
	keep      bool     // matrices in linear layers
	count     int
	err       error
}

func (l *loader) values(name string, shape ...int) []float32 {
	if l.err != nil {
		return nil
	}
	v, err := l.tensor(name, shape...)
	l.err = err
	l.count += len(v)
	return v
}

func param(name string, data []float32, shape ...int) *nn.Param {
	return &nn.Param{Name: name, Shape: shape, Data: data, Decay: len(shape) > 1}
}

// linear makes a layer of a matrix [out, in]. Its weights are kept only in packed
// form.
func (l *loader) linear(name string, in, out int, bias bool) *nn.Linear {
	w := l.values(name+".weight", out, in)
	layer := &nn.Linear{In: in, Out: out, Precision: l.precision}
	if bias {
		layer.Bias = param(name+".bias", l.values(name+".bias", out), out)
	}
	if l.err != nil {
		return layer
	}
	if l.adapter != nil {
		l.adapter.merge(l.backend, name, w, out, in)
	}
	layer.Weight = param(name+".weight", transpose(w, out, in), in, out)
	layer.Prepare(l.backend, l.keep)
	if !l.keep {
		layer.Weight.Data = nil
	}
	return layer
}

// convolution makes the matrix [kernel·in, out] of a convolution of 3 taps.
func (l *loader) convolution(name string, in, out int) *nn.Linear {
	const taps = 3
	w := l.values(name+".weight", out, in, taps)
	layer := &nn.Linear{In: taps * in, Out: out, Precision: l.precision, Bias: param(name+".bias", l.values(name+".bias", out), out)}
	if l.err != nil {
		return layer
	}
	m := make([]float32, len(w))
	for o := range out {
		for c := range in {
			for j := range taps {
				m[(j*in+c)*out+o] = w[(o*in+c)*taps+j]
			}
		}
	}
	layer.Weight = param(name+".weight", m, taps*in, out)
	layer.Prepare(l.backend, false)
	layer.Weight.Data = nil
	return layer
}

func (l *loader) norm(name string, width int) *nn.LayerNorm {
	return &nn.LayerNorm{
		Gamma: param(name+".weight", l.values(name+".weight", width), width),
		Beta:  param(name+".bias", l.values(name+".bias", width), width),
		Eps:   1e-5,
	}
}

func (l *loader) attention(name string, width, heads int) attention {
	return attention{
		query: l.linear(name+".query", width, width, true), key: l.linear(name+".key", width, width, false),
		value: l.linear(name+".value", width, width, true), out: l.linear(name+".out", width, width, true),
		heads: heads,
	}
}

func (l *loader) block(name string, width, heads int, cross bool) *block {
	b := &block{
		norm: l.norm(name+".attn_ln", width), attention: l.attention(name+".attn", width, heads),
		perceptronNorm: l.norm(name+".mlp_ln", width),
		expand:         l.linear(name+".mlp.0", width, 4*width, true), contract: l.linear(name+".mlp.2", 4*width, width, true),
	}
	if cross {
		b.crossNorm, b.cross = l.norm(name+".cross_attn_ln", width), l.attention(name+".cross_attn", width, heads)
	}
	return b
}

func (l *loader) blocks(name string, n, width, heads int, cross bool) []*block {
	blocks := make([]*block, n)
	for i := range blocks {
		blocks[i] = l.block(fmt.Sprintf("%s.blocks.%d", name, i), width, heads, cross)
	}
	return blocks
}

func transpose(w []float32, rows, cols int) []float32 {
	t := make([]float32, len(w))
	const tile = 16
	for r0 := 0; r0 < rows; r0 += tile {
		for c := range cols {
			for r := r0; r < min(r0+tile, rows); r++ {
				t[c*rows+r] = w[r*cols+c]
			}
		}
	}
	return t
}
