package backend

// Convolver is a Backend that convolves rows where they lie, without a copy of those
// under each kernel. Weights are float32, and x has at least the rows under the last
// kernel.
type Convolver interface {
	// Convolve sets y to the product, as MatMul does, of the rows under a kernel and
	// w [taps·C, N]:
	//
	//	y[t,n] = epilogue(Σ_j Σ_c x[t·stride + j·dilation, c]·w[j·C + c, n])
	Convolve(y, x *Tensor, w *Weights, taps, stride, dilation int, ep Epilogue)
	// ConvolvePairs is a convolution, with a stride of 1, that takes three products
	// where two rows a dilation d apart have four (Winograd 1980, F(2,2)): with
	// h = ⌊taps/2⌋, b the weight of tap j and g[i] = b[2i] + b[2i+1], rows t and t+d of
	// a pair are
	//
	//	m      = Σ_i Σ_c x[t+d+2id, c]·g[i,c]
	//	y[t]   = m + Σ_i Σ_c (x[t+2id, c] − x[t+d+2id, c])·b[2i,c] + Σ_c x[t+2hd, c]·b[2h,c]
	//	y[t+d] = m + Σ_c x[t+d+2hd, c]·b[2h,c] + Σ_i Σ_c (x[t+2d+2id, c] − x[t+d+2id, c])·b[2i+1,c]
	//
	// with i < h, the last tap where taps is odd, differences rounded and all sums one
	// chain of FMA in this order from 0 on, then the epilogue. Row t begins a pair where
	// ⌊(first+t)/d⌋ is even; a row depends on those under its kernel alone. w is
	// [(3h + taps%2)·C, N]: g, the even taps, the last one, the odd ones. x is dense and
	// taps at least 2.
	ConvolvePairs(y, x *Tensor, w *Weights, taps, dilation, first int, ep Epilogue)
}

// PairTaps is the number of taps in the weights of ConvolvePairs.
func PairTaps(taps int) int { return 3*(taps/2) + taps%2 }

// CheckConvolve panics unless the shapes of a Convolver's operands fit together.
func CheckConvolve(y, x *Tensor, w *Weights, taps, stride, dilation int) {
	if taps < 1 || stride < 1 || dilation < 1 || w.K != taps*x.Cols || w.N != y.Cols ||
		y.Rows > 0 && x.Rows < (y.Rows-1)*stride+(taps-1)*dilation+1 {
		Fail("Convolve: [%d, %d] from [%d, %d] by [%d, %d]: %d taps, stride %d, dilation %d", y.Rows, y.Cols, x.Rows, x.Cols, w.K, w.N, taps, stride, dilation)
	}
}

// CheckConvolvePairs is CheckConvolve for ConvolvePairs.
func CheckConvolvePairs(y, x *Tensor, w *Weights, taps, dilation, first int) {
	if taps < 2 || dilation < 1 || first < 0 || w.K != PairTaps(taps)*x.Cols || w.N != y.Cols || !x.Dense() ||
		y.Rows > 0 && x.Rows < y.Rows+(taps-1)*dilation {
		Fail("ConvolvePairs: [%d, %d] from [%d, %d] by [%d, %d]: %d taps, dilation %d, first %d", y.Rows, y.Cols, x.Rows, x.Cols, w.K, w.N, taps, dilation, first)
	}
}

// PairWeights gives the weights of ConvolvePairs of those [taps·C, N] of a convolution.
func PairWeights(w []float32, taps, c, n int) []float32 {
	half, tap := taps/2, c*n
	out := make([]float32, 0, PairTaps(taps)*tap)
	of := func(j int) []float32 { return w[j*tap : (j+1)*tap] }
	for i := range half {
		odd := of(2*i + 1)
		for k, v := range of(2 * i) {
			out = append(out, v+odd[k])
		}
	}
	for i := range half {
		out = append(out, of(2*i)...)
	}
	if taps%2 == 1 {
		out = append(out, of(taps-1)...)
	}
	for i := range half {
		out = append(out, of(2*i+1)...)
	}
	return out
}
