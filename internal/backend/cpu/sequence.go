package cpu

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// GroupNorm normalises groups of columns over all rows.
func (b *Backend) GroupNorm(y, x *backend.Tensor, groups int, gamma, beta []float32, eps float32) {
	backend.SameShape("GroupNorm", y, x, nil)
	backend.SameLength("GroupNorm", x.Cols, gamma, beta)
	if groups < 1 || x.Cols%groups != 0 {
		backend.Fail("GroupNorm: %d columns in %d groups", x.Cols, groups)
	}
	if x.Rows == 0 || x.Cols == 0 {
		return
	}
	moments := make([]float64, 2*x.Cols)
	sums, squares := moments[:x.Cols], moments[x.Cols:]
	b.Each(x.Cols, columnUnit, float64(x.Rows), func(lo, hi int) {
		columnMoments(sums[lo:hi], squares[lo:hi], x, lo, hi)
	})
	factors := make([]float32, 2*x.Cols)
	scale, shift := factors[:x.Cols], factors[x.Cols:]
	width := x.Cols / groups
	for lo := 0; lo < x.Cols; lo += width {
		var sum, square float64
		for c := lo; c < lo+width; c++ {
			sum += sums[c]
			square += squares[c]
		}
		n := float64(x.Rows * width)
		mean := sum / n
		r := 1 / math.Sqrt(max(square/n-float64(mean*mean), 0)+float64(eps))
		for c := lo; c < lo+width; c++ {
			f, off := r, 0.0
			if gamma != nil {
				f = float64(r * float64(gamma[c]))
			}
			if beta != nil {
				off = float64(beta[c])
			}
			scale[c], shift[c] = float32(f), float32(off-float64(mean*f))
		}
	}
	b.DepthwiseConv(y, x, scale, shift, 1, 1)
}

// columnMoments adds up columns lo to hi of x and their squares, in the order of
// rows.
func columnMoments(sums, squares []float64, x *backend.Tensor, lo, hi int) {
	const together = 8 // accumulators that fit the registers
	for ; lo < hi; lo += together {
		var s, q [together]float64
		n := min(together, hi-lo)
		if n == together {
			for t := range x.Rows {
				row := (*[together]float32)(x.Data[t*x.Stride+lo:])
				for i, v := range row {
					w := float64(v)
					s[i] += w
					q[i] += float64(w * w)
				}
			}
		} else {
			for t := range x.Rows {
				for i, v := range x.Data[t*x.Stride+lo:][:n] {
					w := float64(v)
					s[i] += w
					q[i] += float64(w * w)
				}
			}
		}
		copy(sums, s[:n])
		copy(squares, q[:n])
		sums, squares = sums[n:], squares[n:]
	}
}

// RMSNorm divides each row by its root mean square.
func (b *Backend) RMSNorm(y, x *backend.Tensor, gamma []float32, eps float32) {
	backend.SameShape("RMSNorm", y, x, nil)
	backend.SameLength("RMSNorm", x.Cols, gamma)
	if x.Rows == 0 || x.Cols == 0 {
		return
	}
	j := b.job()
	j.y, j.x, j.v0, j.eps = y, x, gamma, eps
	j.do(b.split(x.Rows, 1, costNorm*float64(x.Cols)), func(j *job, part int, _ *scratch) {
		lo, hi := span(j.y.Rows, 1, part, j.parts)
		if lo == hi {
			return
		}
		v := j.b.kernels.vector
		if v == nil {
			naive.RMSNorm(rows(j.y, lo, hi), rows(j.x, lo, hi), j.v0, j.eps)
			return
		}
		v.rmsNorm(hi-lo, j.y.Cols, &j.y.Data[lo*j.y.Stride], uintptr(j.y.Stride)*4,
			&j.x.Data[lo*j.x.Stride], uintptr(j.x.Stride)*4, at(j.v0, 0), float32(j.y.Cols), j.eps)
	})
}

// LSTMCell gives the next state of each row.
func (b *Backend) LSTMCell(h, c, gates *backend.Tensor) {
	backend.SameShape("LSTMCell", h, c, nil)
	n := h.Cols
	if gates.Rows != h.Rows || gates.Cols != 4*n {
		backend.Fail("LSTMCell: gates [%d, %d] of states [%d, %d]", gates.Rows, gates.Cols, h.Rows, n)
	}
	if h.Rows == 0 || n == 0 {
		return
	}
	if b.kernels.vector == nil {
		naive.LSTMCell(h, c, gates)
		return
	}
	b.finish(gates, 0, gates, 0, 0, h.Rows, 0, 2*n, &sigmoid)
	b.finish(gates, 0, gates, 0, 0, h.Rows, 2*n, n, &tanh)
	b.finish(gates, 0, gates, 0, 0, h.Rows, 3*n, n, &sigmoid)
	for t := range h.Rows {
		g, state := gates.Row(t), c.Row(t)
		in, forget, cell := g[:n], g[n:2*n], g[2*n:3*n]
		for k := range state {
			state[k] = f32.FMA(forget[k], state[k], float32(in[k]*cell[k]))
		}
	}
	b.finish(h, 0, c, 0, 0, h.Rows, 0, n, &tanh)
	for t := range h.Rows {
		out := gates.Row(t)[3*n:]
		for k, v := range h.Row(t) {
			h.Row(t)[k] = float32(out[k] * v)
		}
	}
}

var (
	sigmoid = backend.Epilogue{Act: backend.Sigmoid}
	tanh    = backend.Epilogue{Act: backend.Tanh}
)
