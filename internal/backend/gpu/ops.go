package gpu

import (
	"fmt"
	"iter"
	"runtime"
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

func checkEpilogue(op string, y *backend.Tensor, ep *backend.Epilogue) {
	backend.SameLength(op, y.Cols, ep.Bias, ep.Scale)
	if ep.Act == backend.Snake && (len(ep.Alpha) < y.Cols || len(ep.Inverse) < y.Cols) {
		backend.Fail("%s: Snake of %d and %d values for %d columns", op, len(ep.Alpha), len(ep.Inverse), y.Cols)
	}
	backend.SameShape(op, y, ep.Residual)
}

// epilogue gives the addresses of an epilogue for n columns.
func (b *Backend) epilogue(ep *backend.Epilogue, n int) []uint64 {
	columns := func(v []float32) uint64 {
		if v == nil {
			return 0
		}
		return b.vector(v[:n])
	}
	var alpha, inverse uint64
	if ep.Act == backend.Snake {
		alpha, inverse = columns(ep.Alpha), columns(ep.Inverse)
	}
	return []uint64{columns(ep.Bias), alpha, inverse, columns(ep.Scale), b.input(ep.Residual)}
}

func stride(t *backend.Tensor) int {
	if t == nil {
		return 0
	}
	return t.Stride
}

// flat gives the shape of tensors for an operation on values by themselves: a single row
// where they are dense.
func flat(tensors ...*backend.Tensor) (rows, cols int) {
	for _, t := range tensors {
		if t != nil && !t.Dense() {
			return t.Rows, t.Cols
		}
	}
	return 1, tensors[0].Rows * tensors[0].Cols
}

// finish sets y to the epilogue of x.
func (b *Backend) finish(y, x *backend.Tensor, ep backend.Epilogue) {
	if y.Rows == 0 || y.Cols == 0 {
		return
	}
	to, back := b.output(y)
	from := to
	if y != x {
		from = b.input(x)
	}
	rows, cols := y.Rows, y.Cols
	if ep.Bias == nil && ep.Scale == nil && ep.Act != backend.Snake {
		rows, cols = flat(y, x, ep.Residual)
	}
	b.call("pointwise", uint32(ep.Act)).pointers(to, from).pointers(b.epilogue(&ep, y.Cols)...).
		sizes(rows, cols, y.Stride, x.Stride, stride(ep.Residual)).over(rows * cols)
	b.bring(back)
}

// Finish sets y to the epilogue of x.
func (b *Backend) Finish(y, x *backend.Tensor, ep backend.Epilogue) {
	backend.SameShape("Finish", y, x)
	checkEpilogue("Finish", y, &ep)
	b.begin()
	defer b.mu.Unlock()
	b.finish(y, x, ep)
}

// Activate sets y = act(x).
func (b *Backend) Activate(y, x *backend.Tensor, act backend.Activation) {
	if act == backend.Snake {
		backend.Fail("Activate: Snake has parameters")
	}
	b.Finish(y, x, backend.Epilogue{Act: act})
}

// Copy copies rows.
func (b *Backend) Copy(dst, src *backend.Tensor) { b.Finish(dst, src, backend.Epilogue{}) }

// Add sets y = x + z.
func (b *Backend) Add(y, x, z *backend.Tensor) {
	backend.SameShape("Add", y, x, z)
	b.Finish(y, x, backend.Epilogue{Residual: z})
}

// ScaleAdd sets y = scale·x + residual.
func (b *Backend) ScaleAdd(y, x *backend.Tensor, scale []float32, residual *backend.Tensor) {
	if scale == nil {
		backend.Fail("ScaleAdd: no scale")
	}
	b.Finish(y, x, backend.Epilogue{Scale: scale, Residual: residual})
}

// copy copies rows at addresses.
func (b *Backend) copy(to, from uint64, rows, cols, ts, fs int) {
	b.call("pointwise", 0).pointers(to, from, 0, 0, 0, 0, 0).sizes(rows, cols, ts, fs, 0).over(rows * cols)
}

// ActivateGrad sets dx = dy·act'(x).
func (b *Backend) ActivateGrad(dx, x, dy *backend.Tensor, act backend.Activation) {
	backend.SameShape("ActivateGrad", dx, x, dy)
	if act == backend.Snake {
		backend.Fail("ActivateGrad: Snake has parameters")
	}
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(dx)
	rows, cols := flat(dx, x, dy)
	b.call("slope", uint32(act)).pointers(to, b.input(x), b.input(dy)).
		sizes(rows, cols, dx.Stride, x.Stride, dy.Stride).over(rows * cols)
	b.bring(back)
}

// weights is a matrix [K, N] on the device, its rows filled up with zeros.
type weights struct {
	store *storage
	pitch int
	tf32  bool // for tensor cores
}

const columnUnit = 64

// Pack copies w [K, N] to the device.
func (b *Backend) Pack(w []float32, k, n int) *backend.Weights { return b.pack(w, k, n, false) }

// PackT copies the transpose of w [N, K] to the device.
func (b *Backend) PackT(w []float32, n, k int) *backend.Weights { return b.pack(w, k, n, true) }

func (b *Backend) pack(w []float32, k, n int, transposed bool) *backend.Weights {
	if len(w) < k*n {
		backend.Fail("Pack: %d values for [%d, %d]", len(w), k, n)
	}
	p := &weights{pitch: (n + columnUnit - 1) / columnUnit * columnUnit}
	p.store = b.claim(k * p.pitch)
	clear(p.store.block.floats(k * p.pitch))
	fill(p, w, k, n, transposed)
	return &backend.Weights{K: k, N: n, Packed: p}
}

func fill(p *weights, w []float32, k, n int, transposed bool) {
	to := p.store.block.floats(k * p.pitch)
	if !transposed {
		for r := range k {
			copy(to[r*p.pitch:], w[r*n:(r+1)*n])
		}
		return
	}
	for c := range n {
		for r, v := range w[c*k : (c+1)*k] {
			to[r*p.pitch+c] = v
		}
	}
}

// Repack replaces the values of a packing.
func (b *Backend) Repack(dst *backend.Weights, w []float32, transposed bool) {
	p, ok := dst.Packed.(*weights)
	if !ok {
		backend.Fail("Repack: weights of reduced precision")
	}
	if len(w) < dst.K*dst.N {
		backend.Fail("Repack: %d values for [%d, %d]", len(w), dst.K, dst.N)
	}
	b.begin()
	defer b.mu.Unlock()
	from, ok := b.address(w)
	if !ok {
		b.wait()
		fill(p, w, dst.K, dst.N, transposed)
		return
	}
	way := uint32(0)
	if transposed {
		way = 1
	}
	b.call("pack", way).pointers(p.store.block.address(), from).sizes(dst.K, dst.N, p.pitch).over(dst.K * dst.N)
	b.bring()
}

// Modes of the kernel blas, which takes addresses of y, a and b, rows, columns and depth
// of the product, the strides of y, a and b, and one of these.
const (
	ProductPlain = iota // y = a·b
	ProductTF32         // the same by tensor cores
	ProductTN           // y += aᵀ·b
)

// slab is the number of rows that a product takes at once: a dispatch has no more than
// MaxGroups of 8 rows.
const slab = 8 * MaxGroups

// few is the number of rows up to which a product has no use for tiles.
const few = 16

// MatMul sets y = epilogue(x·w).
func (b *Backend) MatMul(y, x *backend.Tensor, w *backend.Weights, ep backend.Epilogue) {
	if x.Cols != w.K || y.Cols != w.N || x.Rows != y.Rows {
		backend.Fail("MatMul: [%d, %d] = [%d, %d]·[%d, %d]", y.Rows, y.Cols, x.Rows, x.Cols, w.K, w.N)
	}
	checkEpilogue("MatMul", y, &ep)
	b.begin()
	defer b.mu.Unlock()
	switch p := w.Packed.(type) {
	case *weights:
		b.turns(w.K, 4)
		b.matmul(y, x, p, w.K, ep)
	case *reduced:
		b.turns(w.K, perWord(p.Precision))
		b.reduced(y, x, p, ep)
	}
	runtime.KeepAlive(w)
}

// mostTurns is what Mesa's software device gives a kernel: all its loops together end,
// without a word, after 65535 turns.
const mostTurns = 65_000

// turns refuses a product over k values, so many in a turn, that would end too early.
func (b *Backend) turns(k, each int) {
	if b.driver.Software() && k/each > mostTurns {
		do(fmt.Errorf("%s: a product over %d values, of which its loops take %d: run it on the processor", b.driver.Name(), k, mostTurns*each))
	}
}

func (b *Backend) matmul(y, x *backend.Tensor, p *weights, k int, ep backend.Epilogue) {
	if y.Rows == 0 || y.Cols == 0 {
		return
	}
	if y.Rows > slab {
		b.matmul(y.Slice(0, slab), x.Slice(0, slab), p, k, part(ep, 0, slab))
		b.matmul(y.Slice(slab, y.Rows), x.Slice(slab, x.Rows), p, k, part(ep, slab, y.Rows))
		return
	}
	to, back := b.output(y)
	from, e := b.input(x), b.epilogue(&ep, y.Cols)
	w := p.store.block.address()
	if b.driver.BLAS() && x.Stride >= x.Cols && (ep.Residual == nil || e[4] != to) {
		mode := ProductPlain
		if p.tf32 {
			mode = ProductTF32
		}
		b.call("blas").pointers(to, from, w).sizes(y.Rows, y.Cols, k, y.Stride, x.Stride, p.pitch, mode).groups(1, 1)
		if ep.Bias != nil || ep.Act != backend.Identity || ep.Scale != nil || ep.Residual != nil {
			b.call("pointwise", uint32(ep.Act)).pointers(to, to).pointers(e...).
				sizes(y.Rows, y.Cols, y.Stride, y.Stride, stride(ep.Residual)).over(y.Rows * y.Cols)
		}
	} else if p.tf32 {
		b.tensor(y, &ep, 0, to, from, w, e, k, x.Stride, p.pitch)
	} else if b.driver.Software() || y.Rows <= few {
		rows, quads := 8, 2
		if !b.driver.Software() {
			quads = 1
		}
		if y.Rows < 8 {
			rows = y.Rows
		}
		wide := 16 * 4 * quads
		b.call("gemv", uint32(ep.Act), uint32(rows), uint32(quads)).pointers(to, from, w).pointers(e...).
			sizes(y.Rows, y.Cols, k, y.Stride, x.Stride, p.pitch, stride(ep.Residual)).
			groups((y.Cols+wide-1)/wide, (y.Rows+rows-1)/rows)
	} else {
		b.call("gemm", uint32(ep.Act), 0).pointers(to, from, w).pointers(e...).
			sizes(y.Rows, y.Cols, k, y.Stride, x.Stride, 1, p.pitch, stride(ep.Residual)).
			groups((y.Cols+63)/64, (y.Rows+63)/64)
	}
	b.bring(back)
}

// part is an epilogue for some of the rows.
func part(ep backend.Epilogue, from, to int) backend.Epilogue {
	if ep.Residual != nil {
		ep.Residual = ep.Residual.Slice(from, to)
	}
	return ep
}

// MatMulTN adds xᵀ·dy to dw.
func (b *Backend) MatMulTN(dw, x, dy *backend.Tensor) {
	if dw.Rows != x.Cols || dw.Cols != dy.Cols || x.Rows != dy.Rows {
		backend.Fail("MatMulTN: [%d, %d] += [%d, %d]ᵀ·[%d, %d]", dw.Rows, dw.Cols, x.Rows, x.Cols, dy.Rows, dy.Cols)
	}
	if x.Rows == 0 || dw.Rows == 0 || dw.Cols == 0 {
		return
	}
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(dw)
	left, right := b.input(x), b.input(dy)
	if b.driver.BLAS() && x.Stride >= x.Cols {
		b.call("blas").pointers(to, left, right).sizes(dw.Rows, dw.Cols, x.Rows, dw.Stride, x.Stride, dy.Stride, ProductTN).groups(1, 1)
		b.bring(back)
		return
	}
	for t, rows := range runs(x.Rows) {
		b.call("gemm", 0, 1).pointers(to, left+4*uint64(t*x.Stride), right+4*uint64(t*dy.Stride), 0, 0, 0, 0, 0).
			sizes(dw.Rows, dw.Cols, rows, dw.Stride, 1, x.Stride, dy.Stride, 0).
			groups((dw.Cols+63)/64, (dw.Rows+63)/64)
	}
	b.bring(back)
}

// DepthwiseConv is a convolution of each column.
func (b *Backend) DepthwiseConv(y, x *backend.Tensor, w, bias []float32, taps, dilation int) {
	checkDepthwise("DepthwiseConv", y, x, w, taps, dilation)
	backend.SameLength("DepthwiseConv", y.Cols, bias)
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(y)
	if bias != nil {
		bias = bias[:y.Cols]
	}
	b.call("depthwise", 0).pointers(to, b.input(x), b.vector(w[:taps*y.Cols]), b.vector(bias)).
		sizes(y.Rows, y.Cols, y.Stride, x.Stride, 0, taps, dilation).over(y.Rows * y.Cols)
	b.bring(back)
}

func checkDepthwise(op string, y, x *backend.Tensor, w []float32, taps, dilation int) {
	if x.Cols != y.Cols || x.Rows != y.Rows+(taps-1)*dilation || len(w) < taps*y.Cols {
		backend.Fail("%s: [%d, %d] of [%d, %d] by %d values, %d taps %d apart", op, y.Rows, y.Cols, x.Rows, x.Cols, len(w), taps, dilation)
	}
}

// DepthwiseConvGradWeights adds the gradient of the weights.
func (b *Backend) DepthwiseConvGradWeights(dw []float32, x, dy *backend.Tensor, taps, dilation int) {
	checkDepthwise("DepthwiseConvGradWeights", dy, x, dw, taps, dilation)
	b.begin()
	defer b.mu.Unlock()
	to, back := b.outputs(dw[:taps*dy.Cols])
	from, grad := b.input(x), b.input(dy)
	for t, rows := range runs(dy.Rows) {
		b.call("depthwise", 1).pointers(to, from+4*uint64(t*x.Stride), grad+4*uint64(t*dy.Stride), 0).
			sizes(rows, dy.Cols, 0, x.Stride, dy.Stride, taps, dilation).over(taps * dy.Cols)
	}
	b.bring(back)
}

// Kinds of the kernel norm.
const (
	layerNorm = iota
	rmsNorm
	layerNormGrad
)

func (b *Backend) norm(mode uint32, y, x *backend.Tensor, gamma, beta []float32, eps float32) {
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(y)
	b.call("norm", mode).pointers(to, b.input(x), b.vector(gamma), b.vector(beta), 0, 0).
		sizes(y.Rows, y.Cols, y.Stride, x.Stride, 0).float(eps).groups((y.Rows+3)/4, 1)
	b.bring(back)
}

// LayerNorm normalises each row.
func (b *Backend) LayerNorm(y, x *backend.Tensor, gamma, beta []float32, eps float32) {
	backend.SameShape("LayerNorm", y, x)
	backend.SameLength("LayerNorm", y.Cols, gamma, beta)
	b.norm(layerNorm, y, x, gamma, beta, eps)
}

// RMSNorm divides each row by its root mean square.
func (b *Backend) RMSNorm(y, x *backend.Tensor, gamma []float32, eps float32) {
	backend.SameShape("RMSNorm", y, x)
	backend.SameLength("RMSNorm", y.Cols, gamma)
	b.norm(rmsNorm, y, x, gamma, nil, eps)
}

// LayerNormGrad sets dx and adds to dgamma and dbeta.
func (b *Backend) LayerNormGrad(dx *backend.Tensor, dgamma, dbeta []float32, x, dy *backend.Tensor, gamma []float32, eps float32) {
	backend.SameShape("LayerNormGrad", dx, x, dy)
	backend.SameLength("LayerNormGrad", x.Cols, dgamma, dbeta, gamma)
	if x.Rows == 0 || x.Cols == 0 {
		return
	}
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(dx)
	xhat, _ := b.scratch(x.Rows * x.Cols)
	grad := b.input(dy)
	if dx == dy || to == grad { // the sums of columns come after
		copied, _ := b.scratch(extent(dy))
		b.copy(copied, grad, dy.Rows, dy.Cols, dy.Stride, dy.Stride)
		grad = copied
	}
	b.call("norm", layerNormGrad).pointers(to, b.input(x), b.vector(gamma), 0, grad, xhat).
		sizes(x.Rows, x.Cols, dx.Stride, x.Stride, dy.Stride).float(eps).groups((x.Rows+3)/4, 1)
	backs := []func(){back}
	for _, sum := range []struct {
		to []float32
		by uint64
	}{{dgamma, xhat}, {dbeta, 0}} {
		if sum.to == nil {
			continue
		}
		to, back := b.outputs(sum.to[:x.Cols])
		b.columnSum(to, grad, sum.by, x.Rows, x.Cols, dy.Stride, x.Cols)
		backs = append(backs, back)
	}
	b.bring(backs...)
}

// ColumnSum adds the column sums of x, or of x·z, to sum.
func (b *Backend) ColumnSum(sum []float32, x, z *backend.Tensor) {
	backend.SameShape("ColumnSum", x, z)
	backend.SameLength("ColumnSum", x.Cols, sum)
	b.begin()
	defer b.mu.Unlock()
	to, back := b.outputs(sum[:x.Cols])
	b.columnSum(to, b.input(x), b.input(z), x.Rows, x.Cols, x.Stride, stride(z))
	b.bring(back)
}

func (b *Backend) columnSum(to, x, z uint64, rows, cols, xs, zs int) {
	for t, n := range runs(rows) {
		by := z
		if z != 0 {
			by += 4 * uint64(t*zs)
		}
		b.call("columnsum").pointers(to, x+4*uint64(t*xs), by).sizes(n, cols, xs, zs).over(cols)
	}
}

// runs cuts sums over rows, which go on where they were: it gives first rows and their
// number. One operation should not take long, and Mesa's software device ends a kernel's
// loops after 65535 turns.
func runs(rows int) iter.Seq2[int, int] {
	const most = 1 << 14
	return func(yield func(first, n int) bool) {
		for t := 0; t < rows; t += most {
			if !yield(t, min(most, rows-t)) {
				return
			}
		}
	}
}

// Nearest finds the closest entry of a codebook for each row.
func (b *Backend) Nearest(codes []int32, x *backend.Tensor, book *backend.Weights, half []float32) {
	p, ok := book.Packed.(*weights)
	if !ok || x.Cols != book.K || len(codes) < x.Rows || len(half) < book.N {
		backend.Fail("Nearest: %d codes for [%d, %d] in [%d, %d]", len(codes), x.Rows, x.Cols, book.N, book.K)
	}
	if x.Rows == 0 {
		return
	}
	b.choose(codes[:x.Rows], x, book, func(to, product, _ uint64) {
		b.call("nearest").pointers(to, product, b.vector(half[:book.N])).sizes(x.Rows, book.N).groups(x.Rows, 1)
	}, p)
}

// choose gives the rows of x the codes that a kernel chooses by their products with w.
func (b *Backend) choose(codes []int32, x *backend.Tensor, w *backend.Weights, enqueue func(codes, product, x uint64), p *weights) {
	b.begin()
	defer b.mu.Unlock()
	product, values := b.scratch(x.Rows * w.N)
	b.matmul(backend.Host(values, x.Rows, w.N), x, p, w.K, backend.Epilogue{})
	to, found := b.staging.take(x.Rows)
	enqueue(to, product, b.input(x))
	b.wait()
	copy(codes, unsafe.Slice((*int32)(unsafe.Pointer(&found[0])), x.Rows))
	runtime.KeepAlive(w)
}

// Gather copies rows of a table.
func (b *Backend) Gather(y, table *backend.Tensor, codes []int32) {
	if y.Cols != table.Cols || len(codes) < y.Rows {
		backend.Fail("Gather: %d codes for [%d, %d] of [%d, %d]", len(codes), y.Rows, y.Cols, table.Rows, table.Cols)
	}
	for t, c := range codes[:y.Rows] {
		if c < 0 || int(c) >= table.Rows {
			backend.Fail("Gather: row %d: code %d is not in [0, %d)", t, c, table.Rows)
		}
	}
	if y.Rows == 0 || y.Cols == 0 {
		return
	}
	b.begin()
	defer b.mu.Unlock()
	from, ok := b.address(table.Data)
	if !ok { // of a table in host memory only those rows travel
		from, rows := b.staging.take(y.Rows * y.Cols)
		for t, c := range codes[:y.Rows] {
			copy(rows[t*y.Cols:(t+1)*y.Cols], table.Row(int(c)))
		}
		to, back := b.output(y)
		b.copy(to, from, y.Rows, y.Cols, y.Stride, y.Cols)
		b.bring(back)
		return
	}
	to, back := b.output(y)
	b.call("gather").pointers(to, from, b.ints(codes[:y.Rows])).sizes(y.Rows, y.Cols, y.Stride, table.Stride).over(y.Rows * y.Cols)
	b.bring(back)
}

// CompressPairs sets y to the numbers of x with compressed magnitudes, m to those.
func (b *Backend) CompressPairs(y, m, x *backend.Tensor, eps float32) {
	backend.SameShape("CompressPairs", x, y, m)
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(y)
	mag, back2 := b.output(m)
	b.call("pairs", 0).pointers(to, b.input(x), mag).
		sizes(x.Rows, x.Cols/2, y.Stride, x.Stride, m.Stride).float(eps).over(x.Rows * x.Cols / 2)
	b.bring(back, back2)
}

// ExpandPairs sets y to the numbers of x times their power.
func (b *Backend) ExpandPairs(y, x *backend.Tensor, eps float32) {
	backend.SameShape("ExpandPairs", x, y)
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(y)
	b.call("pairs", 1).pointers(to, b.input(x), 0).
		sizes(x.Rows, x.Cols/2, y.Stride, x.Stride, 0).float(eps).over(x.Rows * x.Cols / 2)
	b.bring(back)
}

// LSTMCell gives the next state of each row. It leaves gates as they are.
func (b *Backend) LSTMCell(h, c, gates *backend.Tensor) {
	backend.SameShape("LSTMCell", h, c)
	if gates.Rows != h.Rows || gates.Cols != 4*h.Cols {
		backend.Fail("LSTMCell: gates [%d, %d] for [%d, %d]", gates.Rows, gates.Cols, h.Rows, h.Cols)
	}
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(h)
	state, back2 := b.output(c)
	b.call("lstm").pointers(to, state, b.input(gates)).
		sizes(h.Rows, h.Cols, h.Stride, c.Stride, gates.Stride).over(h.Rows * h.Cols)
	b.bring(back, back2)
}

// GroupNorm normalises groups of columns over all rows.
func (b *Backend) GroupNorm(y, x *backend.Tensor, groups int, gamma, beta []float32, eps float32) {
	backend.SameShape("GroupNorm", y, x)
	backend.SameLength("GroupNorm", x.Cols, gamma, beta)
	if groups < 1 || x.Cols%groups != 0 {
		backend.Fail("GroupNorm: %d columns in %d groups", x.Cols, groups)
	}
	if x.Rows == 0 || x.Cols == 0 {
		return
	}
	b.begin()
	defer b.mu.Unlock()
	width := x.Cols / groups
	n := x.Rows * width
	high := float32(n)
	low := float32(n - int(high))
	from := b.input(x)
	sums, _ := b.scratch(4 * x.Cols)
	factors, _ := b.scratch(2 * x.Cols)
	moments := func(which uint32, from uint64, rows, first int) {
		b.call("moments", which).pointers(from, sums, b.vector(gamma), b.vector(beta), factors).
			sizes(rows, x.Cols, x.Stride, first, width).float(high).float(low).float(eps).over(x.Cols)
	}
	first := 1
	for t, rows := range runs(x.Rows) {
		moments(0, from+4*uint64(t*x.Stride), rows, first)
		first = 0
	}
	moments(1, from, x.Rows, 0)
	to, back := b.output(y)
	b.call("depthwise", 0).pointers(to, from, factors, factors+4*uint64(x.Cols)).
		sizes(y.Rows, y.Cols, y.Stride, x.Stride, 0, 1, 1).over(y.Rows * y.Cols)
	b.bring(back)
}

// AdamWStep updates w, m and v.
func (b *Backend) AdamWStep(w, g, m, v []float32, a backend.AdamW) {
	if len(g) != len(w) || len(m) != len(w) || len(v) != len(w) {
		backend.Fail("AdamWStep: %d weights, %d gradients, %d and %d moments", len(w), len(g), len(m), len(v))
	}
	if len(w) == 0 {
		return
	}
	b.begin()
	defer b.mu.Unlock()
	c := f32.NewAdamW(a.LR, a.Beta1, a.Beta2, a.Eps, a.WeightDecay, a.Scale, a.Step)
	weight, back := b.outputs(w)
	mean, back2 := b.outputs(m)
	square, back3 := b.outputs(v)
	op := b.call("adamw").pointers(weight, b.vector(g), mean, square).sizes(len(w))
	for _, v := range []float32{c.Beta1, c.Rest1, c.Beta2, c.Rest2, c.Fix1, c.Fix2, c.Eps, c.Decay, c.NegLR} {
		op.float(v)
	}
	op.over(len(w))
	b.bring(back, back2, back3)
}

var _ backend.Joiner = (*Backend)(nil)

// Join plays the node game.
func (b *Backend) Join(codes []int32, x *backend.Tensor, sums *backend.Weights, g *backend.Game) {
	n := sums.N
	p, ok := sums.Packed.(*weights)
	if !ok || x.Cols != sums.K || len(codes) < x.Rows || len(g.Bias) < n || len(g.Inside) < n || len(g.Inverse) < n || len(g.Bits) < n {
		backend.Fail("Join: %d codes for [%d, %d] in [%d, %d]", len(codes), x.Rows, x.Cols, n, sums.K)
	}
	if x.Rows == 0 {
		return
	}
	soft := uint32(0)
	if g.Soft {
		soft = 1
	}
	b.choose(codes[:x.Rows], x, sums, func(to, product, from uint64) {
		b.call("join", soft).pointers(to, product, from, b.vector(g.Bias[:n]), b.vector(g.Inside[:n]), b.vector(g.Inverse[:n]), b.vector(g.Bits[:n])).
			sizes(x.Rows, n, x.Cols, x.Stride).float(g.Total).groups(x.Rows, 1)
	}, p)
}

var _ backend.Rotator = (*Backend)(nil)

// Rotate turns pairs of values.
func (b *Backend) Rotate(y, x *backend.Tensor, cos, sin []float32, half int, way backend.Rotation) {
	backend.SameShape("Rotate", y, x)
	if half < 1 || x.Cols%(2*half) != 0 || len(cos) < x.Rows*half || len(sin) < x.Rows*half {
		backend.Fail("Rotate: heads of %d columns in [%d, %d], %d and %d angles", 2*half, x.Rows, x.Cols, len(cos), len(sin))
	}
	b.begin()
	defer b.mu.Unlock()
	to, home := b.output(y)
	flag := map[bool]int{true: 1}
	b.call("rotate").pointers(to, b.input(x), b.vector(cos[:x.Rows*half]), b.vector(sin[:x.Rows*half])).
		sizes(x.Rows, x.Cols/(2*half), half, y.Stride, x.Stride, flag[way.Adjacent], flag[way.Back]).over(x.Rows * x.Cols / 2)
	b.bring(home)
}
