package ref

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// GroupNorm normalises groups of columns over all rows.
func (Backend) GroupNorm(y, x *backend.Tensor, groups int, gamma, beta []float32, eps float32) {
	width := x.Cols / groups
	for g := range groups {
		var sum, square float64
		for c := g * width; c < (g+1)*width; c++ {
			var s, q float64
			for t := range x.Rows {
				v := float64(x.Row(t)[c])
				s += v
				q += float64(v * v)
			}
			sum += s
			square += q
		}
		n := float64(x.Rows * width)
		mean := sum / n
		r := 1 / math.Sqrt(max(square/n-float64(mean*mean), 0)+float64(eps))
		for c := g * width; c < (g+1)*width; c++ {
			scale, shift := r, 0.0
			if gamma != nil {
				scale = float64(r * float64(gamma[c]))
			}
			if beta != nil {
				shift = float64(beta[c])
			}
			shift -= float64(mean * scale)
			for t := range x.Rows {
				y.Row(t)[c] = f32.FMA(x.Row(t)[c], float32(scale), float32(shift))
			}
		}
	}
}

// RMSNorm divides each row by its root mean square.
func (Backend) RMSNorm(y, x *backend.Tensor, gamma []float32, eps float32) {
	for t := range x.Rows {
		var p [f32.Lanes]float32
		for c, v := range x.Row(t) {
			p[c%f32.Lanes] += float32(v * v)
		}
		r := 1 / f32.Sqrt(f32.Tree(&p)/float32(x.Cols)+eps)
		for c, v := range x.Row(t) {
			y.Row(t)[c] = float32(v * r)
			if gamma != nil {
				y.Row(t)[c] *= gamma[c]
			}
		}
	}
}

// LSTMCell gives the next state of each row.
func (Backend) LSTMCell(h, c, gates *backend.Tensor) {
	n := h.Cols
	for t := range h.Rows {
		g := gates.Row(t)
		for k := range n {
			in, forget, cell, out := f32.Sigmoid(g[k]), f32.Sigmoid(g[n+k]), f32.Tanh(g[2*n+k]), f32.Sigmoid(g[3*n+k])
			v := f32.FMA(forget, c.Row(t)[k], float32(in*cell))
			c.Row(t)[k] = v
			h.Row(t)[k] = float32(out * f32.Tanh(v))
		}
	}
}
