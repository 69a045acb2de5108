package descript

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// headDim is the number of columns of a head.
const headDim = 64

// windows is attention within windows of rows that do not overlap, with rotary
// positions counted from the start of each (Su et al. 2021), beside its input.
type windows struct {
	rows            int
	norm            *nn.LayerNorm
	input, output   *nn.Linear // queries, keys and values
	cos, sin        []float32  // [rows, headDim/2]
	channels, heads int
}

// attention builds a block of attention called name.
func attention(c *published.Checkpoint, name string, channels, rows int) nn.Layer {
	c.Within("channels of attention", channels, headDim, 1<<14)
	c.Within("channels of attention modulo those of a head", channels%headDim, 0, 0)
	w := &windows{
		rows: rows, channels: channels, heads: channels / headDim,
		norm:  c.LayerNorm(name+".norm", channels, 1e-5),
		input: c.LinearNoBias(name+".to_qkv", channels, 3*channels), output: c.LinearNoBias(name+".to_out", channels, channels),
	}
	frequencies := c.Get(name+".rel_pos.inv_freq", headDim/2)
	for t := range rows {
		for _, f := range frequencies {
			angle := float32(t) * f
			w.cos, w.sin = append(w.cos, f32.Cos(angle)), append(w.sin, f32.Sin(angle))
		}
	}
	return &nn.Blocks{Rows: rows, Layer: w}
}

// Params lists those of norm and projections.
func (w *windows) Params() []*nn.Param { return nn.Params(w.norm, w.input, w.output) }

// Step attends within each window of rows; the last one may be short.
func (w *windows) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	c, steps := w.channels, x.Rows/s.Batch
	if steps == 0 {
		return s.Tensor(0, c)
	}
	qkv := w.input.Step(s, w.norm.Step(s, x))
	q, k, v := s.Tensor(x.Rows, c), s.Tensor(x.Rows, c), s.Tensor(x.Rows, c)
	from, to := make([]int32, x.Rows), make([]int32, x.Rows)
	cos, sin := make([]float32, 0, x.Rows*headDim/2), make([]float32, 0, x.Rows*headDim/2)
	for r := range x.Rows {
		item, t := r/steps*steps, r%steps
		at := t % w.rows * headDim / 2
		cos, sin = append(cos, w.cos[at:at+headDim/2]...), append(sin, w.sin[at:at+headDim/2]...)
		start := t / w.rows * w.rows
		from[r], to[r] = int32(item+start), int32(item+min(start+w.rows, steps))
	}
	s.Rotate(q, s.Columns(qkv, c), cos, sin, headDim/2, backend.Rotation{})
	s.Rotate(k, s.Part(qkv, c, c), cos, sin, headDim/2, backend.Rotation{})
	s.Copy(v, s.Part(qkv, 2*c, c))
	h := s.Tensor(x.Rows, c)
	s.Attention(h, q, k, v, from, to, w.heads, float32(1/math.Sqrt(headDim)))
	y := w.output.Step(s, h)
	s.Backend.Add(y, y, x)
	s.Release(qkv, q, k, v, h)
	return y
}
