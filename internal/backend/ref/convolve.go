package ref

import "github.com/sotto-audio/sotto/internal/backend"

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
