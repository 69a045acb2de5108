// Package backend is the set of device operations that every model here is
// made of. A Backend runs them; backend/ref is the naive definition and
// backend/cpu the fast one.
//
// One arithmetic: the operations behind one output element, and their order,
// are part of the contract and do not depend on the number of rows, the batch,
// the chunking, the thread count or the instruction set. FMA(a, b, c) below is
// the fused a·b + c of IEEE 754, rounded once. Division and square root are the
// IEEE operations.
package backend

import "fmt"

// Tensor is a matrix view of float32 on a device, row-major: row r holds Cols
// values that start at r*Stride. Time runs along rows, channels along columns;
// a batch is rows of one item after rows of the other. Rows may overlap
// (Stride < Cols), which makes a strided convolution a matrix product.
type Tensor struct {
	Rows, Cols, Stride int
	// Data is the storage, first element first. Backends of other devices share it
	// with the host, which may look at it, and change it, after Wait.
	Data []float32
	// Device is what keeps the storage of other backends alive: views carry it.
	Device any
}

// Host makes a dense view of host memory.
func Host(data []float32, rows, cols int) *Tensor {
	if len(data) < rows*cols {
		panic(fmt.Sprintf("backend: %d values do not fill [%d, %d]", len(data), rows, cols))
	}
	return &Tensor{Rows: rows, Cols: cols, Stride: cols, Data: data[:rows*cols]}
}

// Row gives row r of a host tensor.
func (t *Tensor) Row(r int) []float32 {
	return t.Data[r*t.Stride : r*t.Stride+t.Cols]
}

// Slice is the view of rows [from, to).
func (t *Tensor) Slice(from, to int) *Tensor {
	v := *t
	v.Rows = to - from
	if t.Data != nil {
		v.Data = t.Data[from*t.Stride:]
		if n := v.Rows * t.Stride; t.Stride == t.Cols {
			v.Data = v.Data[:n]
		}
	}
	return &v
}

// Dense reports whether rows follow each other without gap or overlap.
func (t *Tensor) Dense() bool { return t.Stride == t.Cols }

// Activation names a pointwise function.
type Activation int

// Activations.
const (
	Identity Activation = iota
	// GELU is x·σ(2·√(2/π)·(x + 0.044715·x³)), the tanh form of Hendrycks &
	// Gimpel 2016, evaluated as x / (1 + exp(−u)) with u = x·FMA(x·x, c3, c1).
	GELU
	// SiLU is x / (1 + exp(−x)).
	SiLU
	// GELUErf is x/2·(1 + erf(x/√2)), the exact form of GELU.
	GELUErf
	ReLU
	// LeakyReLU has the slope 0.1 below 0.
	LeakyReLU
	// LeakyReLU100 has the slope 0.01 below 0.
	LeakyReLU100
	// ELU is exp(x) − 1 below 0 (Clevert et al. 2016).
	ELU
	Tanh
	Sigmoid
	// Snake is x + Inverse[n]·sin²(Alpha[n]·x) (Ziyin et al. 2020), in an Epilogue
	// only.
	Snake
)

// Activations is the number of activations.
const Activations = int(Snake) + 1

// Weights is a matrix that a Backend packed once for MatMul.
type Weights struct {
	K, N   int
	Packed any
}

// Epilogue is applied to each element s of a product, in this order:
//
//	s += Bias[n];  s = Act(s);  s *= Scale[n];  s += Residual[m,n]
//
// Each step is rounded, so that a fused layer gives what its parts would. Steps
// with nil operands are left out.
type Epilogue struct {
	Bias           []float32
	Act            Activation
	Alpha, Inverse []float32 // of Snake
	Scale          []float32
	Residual       *Tensor
}

// AdamW holds the constants of one optimiser step (Loshchilov & Hutter 2019,
// Algorithm 2). Step counts from 1.
type AdamW struct {
	LR, Beta1, Beta2, Eps, WeightDecay float32
	Scale                              float32 // of gradients
	Step                               int
}

// Backend runs operations on its own tensors. Shapes are the caller's duty: a
// mismatch is a programming error and panics. Work may be enqueued: Download waits,
// and so do operations that give values to slices and tensors of the host; see Wait.
// What a device fails to do panics as a Fault. A Backend is safe for concurrent use.
//
// Operations marked T are needed in training only.
type Backend interface {
	// Name is "cpu (avx512)" or the like.
	Name() string

	// New gives a zeroed dense tensor.
	New(rows, cols int) *Tensor
	// Upload copies host values into a dense tensor.
	Upload(dst *Tensor, src []float32)
	// Download waits for the work that dst depends on and copies it to the host.
	Download(dst []float32, src *Tensor)

	// Pack lays out w [K, N] row-major for MatMul.
	Pack(w []float32, k, n int) *Weights
	// PackT lays out the transpose of w, where w is [N, K] row-major.
	PackT(w []float32, n, k int) *Weights
	// Repack (T) fills an existing packing with new values: w as given to Pack,
	// or with transposed set as given to PackT.
	Repack(dst *Weights, w []float32, transposed bool)

	Reducer
	Spectra
	Attention
	Sequence

	// MatMul sets y[m,n] = epilogue(Σ_k x[m,k]·w[k,n]): the sum starts at +0 and
	// adds by FMA in the order of k.
	MatMul(y, x *Tensor, w *Weights, ep Epilogue)
	// MatMulTN (T) adds xᵀ·dy to dw: dw[k,n] continues by FMA over the rows m in
	// order. dw is [x.Cols, dy.Cols].
	MatMulTN(dw, x, dy *Tensor)

	// DepthwiseConv sets y[t,c] = bias[c] + Σ_j w[j,c]·x[t+j·dilation,c]: the sum
	// starts at bias[c] (+0 if nil) and adds by FMA in the order of j. w is
	// [taps, C]; x has (taps-1)·dilation rows more than y.
	DepthwiseConv(y, x *Tensor, w, bias []float32, taps, dilation int)
	// DepthwiseConvGradWeights (T) adds Σ_t x[t+j·dilation,c]·dy[t,c] to dw[j,c],
	// by FMA in the order of t.
	DepthwiseConvGradWeights(dw []float32, x, dy *Tensor, taps, dilation int)

	// LayerNorm sets y = (x−mean)/√(var+eps)·gamma + beta along each row (Ba et
	// al. 2016), in two passes. A row sum S(v) is canonical: 16 partial sums,
	// partial i adding v[i], v[i+16], … in order, then the tree i += i+8, i+4,
	// i+2, i+1. mean = S(x)/C; var = S(d·d by FMA)/C with d = x−mean;
	// r = 1/√(var+eps); y = FMA(d·r, gamma, beta), or d·r where gamma is nil.
	LayerNorm(y, x *Tensor, gamma, beta []float32, eps float32)
	// LayerNormGrad (T) sets dx and adds to dgamma and dbeta (which may be nil).
	LayerNormGrad(dx *Tensor, dgamma, dbeta []float32, x, dy *Tensor, gamma []float32, eps float32)

	// Activate sets y = act(x); y may be x. Package f32 defines the functions.
	Activate(y, x *Tensor, act Activation)
	// Finish sets y to the epilogue of x; y may be x.
	Finish(y, x *Tensor, ep Epilogue)
	// ActivateGrad (T) sets dx = dy·act'(x); dx may be dy.
	ActivateGrad(dx, x, dy *Tensor, act Activation)

	// Copy copies rows; shapes are equal and dst does not overlap src.
	Copy(dst, src *Tensor)
	// Add sets y = a + b.
	Add(y, a, b *Tensor)
	// ScaleAdd sets y[t,c] = scale[c]·x[t,c] + residual[t,c], rounded twice, or the
	// product alone where residual is nil.
	ScaleAdd(y, x *Tensor, scale []float32, residual *Tensor)
	// ColumnSum (T) adds Σ_t x[t,c], or Σ_t x[t,c]·z[t,c] by FMA where z is given,
	// to sum[c] in the order of t.
	ColumnSum(sum []float32, x, z *Tensor)

	// Nearest sets codes[t] to the index of the entry e of book [N, D] with the
	// smallest |e|²/2 − x·e, the lowest index on a tie. book is packed by PackT
	// (N entries of D values); half is |e|²/2 of each entry. The product is
	// MatMul's; the difference is one subtraction half[n] − product.
	Nearest(codes []int32, x *Tensor, book *Weights, half []float32)
	// Gather sets row t of y to row codes[t] of table.
	Gather(y *Tensor, table *Tensor, codes []int32)

	// AdamWStep (T) updates w with gradient g and moments m, v.
	AdamWStep(w, g, m, v []float32, a AdamW)
}
