package backend

// Convolver is a Backend that convolves rows where they lie, without a copy of those
// under each kernel.
type Convolver interface {
	// Convolve sets y to the product, as MatMul does, of the rows under a kernel and
	// w [taps·C, N]:
	//
	//	y[t,n] = epilogue(Σ_j Σ_c x[t·stride + j·dilation, c]·w[j·C + c, n])
	//
	// x has at least the rows under the last kernel, and w is float32.
	Convolve(y, x *Tensor, w *Weights, taps, stride, dilation int, ep Epilogue)
}

// CheckConvolve panics unless the shapes of a Convolver's operands fit together.
func CheckConvolve(y, x *Tensor, w *Weights, taps, stride, dilation int) {
	if taps < 1 || stride < 1 || dilation < 1 || w.K != taps*x.Cols || w.N != y.Cols ||
		y.Rows > 0 && x.Rows < (y.Rows-1)*stride+(taps-1)*dilation+1 {
		Fail("Convolve: [%d, %d] from [%d, %d] by [%d, %d]: %d taps, stride %d, dilation %d", y.Rows, y.Cols, x.Rows, x.Cols, w.K, w.N, taps, stride, dilation)
	}
}
