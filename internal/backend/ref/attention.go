package ref

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// Attention sets y to the values that the rows of q attend to.
func (Backend) Attention(y, q, k, v *backend.Tensor, from, to []int32, heads int, scale float32) {
	d := q.Cols / heads
	for m := range q.Rows {
		for h := range heads {
			c0, c1 := h*d, (h+1)*d
			e, r := weights(q.Row(m)[c0:c1], k, c0, int(from[m]), int(to[m]), scale)
			for c := c0; c < c1; c++ {
				var s float32
				for j := range e {
					s = f32.FMA(e[j], v.Row(int(from[m]) + j)[c], s)
				}
				y.Row(m)[c] = float32(s * r)
			}
		}
	}
}

// weights gives the weights of the visible keys, and the factor that makes their
// sum 1.
func weights(q []float32, k *backend.Tensor, c0, from, to int, scale float32) (e []float32, r float32) {
	if from >= to {
		return nil, 0
	}
	e = make([]float32, to-from)
	top := -inf
	for j := range e {
		var s float32
		for c, x := range q {
			s = f32.FMA(x, k.Row(from + j)[c0+c], s)
		}
		e[j] = float32(s * scale)
		top = max(top, e[j])
	}
	var p [f32.Lanes]float32
	for j := range e {
		e[j] = f32.Exp(e[j] - top)
		p[j%f32.Lanes] += e[j]
	}
	return e, 1 / f32.Tree(&p)
}

// AttentionGrad sets dq and adds to dk and dv.
func (Backend) AttentionGrad(dq, dk, dv, q, k, v, y, dy *backend.Tensor, from, to []int32, heads int, scale float32) {
	size := q.Cols / heads
	d := make([]float32, size)
	for m := range q.Rows {
		for h := range heads {
			c0 := h * size
			e, r := weights(q.Row(m)[c0:c0+size], k, c0, int(from[m]), int(to[m]), scale)
			var p [f32.Lanes]float32
			for c := range d {
				d[c] = float32(dy.Row(m)[c0+c] * r)
				p[c%f32.Lanes] = f32.FMA(d[c], y.Row(m)[c0+c], p[c%f32.Lanes])
			}
			delta := f32.Tree(&p)
			g := make([]float32, len(e))
			for j := range g {
				var s float32
				for c := range d {
					s = f32.FMA(d[c], v.Row(int(from[m]) + j)[c0+c], s)
				}
				g[j] = (s - delta) * e[j]
			}
			for c := range d {
				x := float32(scale * q.Row(m)[c0+c])
				var s float32
				for j := range g {
					row := int(from[m]) + j
					s = f32.FMA(g[j], k.Row(row)[c0+c], s)
					dk.Row(row)[c0+c] = f32.FMA(g[j], x, dk.Row(row)[c0+c])
					dv.Row(row)[c0+c] = f32.FMA(e[j], d[c], dv.Row(row)[c0+c])
				}
				dq.Row(m)[c0+c] = float32(scale * s)
			}
		}
	}
}
