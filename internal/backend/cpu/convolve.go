package cpu

import "github.com/sotto-audio/sotto/internal/backend"

var _ backend.Convolver = (*Backend)(nil)

// Convolve sets y to the convolution of x with w [taps·C, N]: a product whose rows of
// x are runs, one for each tap, that lie a dilation apart.
func (b *Backend) Convolve(y, x *backend.Tensor, w *backend.Weights, taps, stride, dilation int, ep backend.Epilogue) {
	backend.CheckConvolve(y, x, w, taps, stride, dilation)
	backend.SameShape("Convolve residual", y, ep.Residual, nil)
	checkEpilogue(w.N, &ep)
	if _, ok := w.Packed.(*panels); !ok {
		backend.Fail("Convolve: weights of reduced precision")
	}
	if y.Rows == 0 || w.N == 0 {
		return
	}
	j := b.job()
	apart := dilation * x.Stride
	if apart == x.Cols {
		taps = 1 // they follow each other
	}
	j.shape = backend.Tensor{Rows: y.Rows, Cols: x.Cols, Stride: stride * x.Stride, Data: x.Data}
	j.y, j.x, j.w, j.ep, j.taps, j.dilation = y, &j.shape, w, ep, taps, apart
	j.plan = b.planProduct(y.Rows, w.K, w.N)
	j.do(j.plan.rowParts*j.plan.colParts, matMulPart)
}
