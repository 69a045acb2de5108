package ref

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// Pack keeps w [K, N] as it is.
func (b Backend) Pack(w []float32, k, n int) *backend.Weights {
	p := &backend.Weights{K: k, N: n, Packed: make([]float32, k*n)}
	b.Repack(p, w, false)
	return p
}

// PackT keeps the transpose of w [N, K].
func (b Backend) PackT(w []float32, n, k int) *backend.Weights {
	p := &backend.Weights{K: k, N: n, Packed: make([]float32, k*n)}
	b.Repack(p, w, true)
	return p
}

// Repack replaces the values of a packing.
func (Backend) Repack(dst *backend.Weights, w []float32, transposed bool) {
	packed := dst.Packed.([]float32)
	for k := range dst.K {
		for n := range dst.N {
			if transposed {
				packed[k*dst.N+n] = w[n*dst.K+k]
			} else {
				packed[k*dst.N+n] = w[k*dst.N+n]
			}
		}
	}
}

// MatMul sets y = epilogue(x·w).
func (Backend) MatMul(y, x *backend.Tensor, w *backend.Weights, ep backend.Epilogue) {
	for m := range y.Rows {
		sum := dot(x.Row(m), w)
		for n := range w.N {
			y.Row(m)[n] = epilogue(sum(n), m, n, ep)
		}
	}
}

// dot gives the products of a row and the columns of w.
func dot(x []float32, w *backend.Weights) func(n int) float32 {
	switch packed := w.Packed.(type) {
	case []integers:
		row := quantize(x)
		return func(n int) float32 { return dotInt8(row, packed[n]) }
	case []halves:
		row := round(x)
		return func(n int) float32 { return dotBFloat16(row, packed[n]) }
	}
	packed := w.Packed.([]float32)
	return func(n int) float32 {
		var s float32
		for k := range w.K {
			s = f32.FMA(x[k], packed[k*w.N+n], s)
		}
		return s
	}
}

func epilogue(s float32, m, n int, ep backend.Epilogue) float32 {
	if ep.Bias != nil {
		s += ep.Bias[n]
	}
	if ep.Act == backend.Snake {
		s = f32.Snake(s, ep.Alpha[n], ep.Inverse[n])
	} else {
		s = Activation(s, ep.Act)
	}
	if ep.Scale != nil {
		s = float32(s * ep.Scale[n])
	}
	if ep.Residual != nil {
		s += ep.Residual.Row(m)[n]
	}
	return s
}

// MatMulTN adds xᵀ·dy to dw.
func (Backend) MatMulTN(dw, x, dy *backend.Tensor) {
	for k := range dw.Rows {
		for n := range dw.Cols {
			s := dw.Row(k)[n]
			for m := range x.Rows {
				s = f32.FMA(x.Row(m)[k], dy.Row(m)[n], s)
			}
			dw.Row(k)[n] = s
		}
	}
}

// Nearest finds the closest entry of a codebook for each row.
func (Backend) Nearest(codes []int32, x *backend.Tensor, book *backend.Weights, half []float32) {
	packed := book.Packed.([]float32)
	for t := range x.Rows {
		best := inf
		codes[t] = 0
		for n := range book.N {
			var s float32
			for k := range book.K {
				s = f32.FMA(x.Row(t)[k], packed[k*book.N+n], s)
			}
			if d := half[n] - s; d < best {
				best = d
				codes[t] = int32(n)
			}
		}
	}
}
