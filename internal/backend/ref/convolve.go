package ref

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

var _ backend.Convolver = Backend{}

// Convolve sets y to the convolution of x with w [taps·C, N].
func (Backend) Convolve(y, x *backend.Tensor, w *backend.Weights, taps, stride, dilation int, ep backend.Epilogue) {
	backend.CheckConvolve(y, x, w, taps, stride, dilation)
	under := make([]float32, 0, w.K)
	for t := range y.Rows {
		under = under[:0]
		for j := range taps {
			under = append(under, x.Row(t*stride+j*dilation)...)
		}
		sum := dot(under, w)
		for n := range w.N {
			y.Row(t)[n] = epilogue(sum(n), t, n, ep)
		}
	}
}

// ConvolvePairs sets y to the convolution of x by pairs of rows.
func (Backend) ConvolvePairs(y, x *backend.Tensor, w *backend.Weights, taps, dilation, first int, ep backend.Epilogue) {
	backend.CheckConvolvePairs(y, x, w, taps, dilation, first)
	packed := w.Packed.([]float32)
	half, d := taps/2, dilation
	for t := range y.Rows {
		odd := (first+t)/d%2 == 1
		row := func(j int) []float32 { return x.Row(t + j*d) }
		for n := range w.N {
			var s float32
			add := func(tap int, value func(c int) float32) {
				for c := range x.Cols {
					s = f32.FMA(value(c), packed[(tap*x.Cols+c)*w.N+n], s)
				}
			}
			// less adds the difference of rows under a kernel, by a tap.
			less := func(a, b, tap int) {
				add(tap, func(c int) float32 { return row(a)[c] - row(b)[c] })
			}
			last := func() {
				if taps%2 == 1 {
					add(2*half, func(c int) float32 { return row(taps - 1)[c] })
				}
			}
			if odd {
				for i := range half {
					add(i, func(c int) float32 { return row(2 * i)[c] })
				}
				last()
				for i := range half {
					less(2*i+1, 2*i, 2*half+taps%2+i)
				}
			} else {
				for i := range half {
					add(i, func(c int) float32 { return row(2*i + 1)[c] })
				}
				for i := range half {
					less(2*i, 2*i+1, half+i)
				}
				last()
			}
			y.Row(t)[n] = epilogue(s, t, n, ep)
		}
	}
}
