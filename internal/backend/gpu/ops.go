package gpu

import (
	"runtime"
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend"
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
	b.call("pointwise", uint32(ep.Act)).pointers(to, from).pointers(b.epilogue(&ep, y.Cols)...).
		sizes(y.Rows, y.Cols, y.Stride, x.Stride, stride(ep.Residual)).over(y.Rows * y.Cols)
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

// ActivateGrad sets dx = dy·act'(x).
func (b *Backend) ActivateGrad(dx, x, dy *backend.Tensor, act backend.Activation) {
	backend.SameShape("ActivateGrad", dx, x, dy)
	if act == backend.Snake {
		backend.Fail("ActivateGrad: Snake has parameters")
	}
	b.begin()
	defer b.mu.Unlock()
	to, back := b.output(dx)
	b.call("slope", uint32(act)).pointers(to, b.input(x), b.input(dy)).
		sizes(x.Rows, x.Cols, dx.Stride, x.Stride, dy.Stride).over(x.Rows * x.Cols)
	b.bring(back)
}

// weights is a matrix [K, N] on the device, its rows filled up with zeros.
type weights struct {
	store *storage
	pitch int
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
	b.wait()
	fill(p, w, dst.K, dst.N, transposed)
}

// PackReduced lays out w for the host, which runs products of reduced precision.
func (b *Backend) PackReduced(w []float32, k, n int, p backend.Precision) *backend.Weights {
	if p == backend.Float32 {
		return b.Pack(w, k, n)
	}
	return b.host.PackReduced(w, k, n, p)
}

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
	p, ok := w.Packed.(*weights)
	if !ok {
		b.wait()
		b.host.MatMul(y, x, w, ep)
		return
	}
	b.matmul(y, x, p, w.K, ep)
	runtime.KeepAlive(w)
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
	if b.driver.Software() || y.Rows <= few {
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
	b.call("gemm", 0, 1).pointers(to, b.input(x), b.input(dy), 0, 0, 0, 0, 0).
		sizes(dw.Rows, dw.Cols, x.Rows, dw.Stride, 1, x.Stride, dy.Stride, 0).
		groups((dw.Cols+63)/64, (dw.Rows+63)/64)
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
	b.call("depthwise", 1).pointers(to, b.input(x), b.input(dy), 0).
		sizes(dy.Rows, dy.Cols, 0, x.Stride, dy.Stride, taps, dilation).over(taps * dy.Cols)
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
		b.call("pointwise", 0).pointers(copied, grad, 0, 0, 0, 0, 0).
			sizes(dy.Rows, dy.Cols, dy.Stride, dy.Stride, 0).over(dy.Rows * dy.Cols)
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
		b.call("columnsum").pointers(to, grad, sum.by).sizes(x.Rows, x.Cols, dy.Stride, x.Cols).over(x.Cols)
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
	b.call("columnsum").pointers(to, b.input(x), b.input(z)).sizes(x.Rows, x.Cols, x.Stride, stride(z)).over(x.Cols)
	b.bring(back)
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
	b.begin()
	defer b.mu.Unlock()
	_, product := b.scratch(x.Rows * book.N)
	y := backend.Host(product, x.Rows, book.N)
	b.matmul(y, x, p, book.K, backend.Epilogue{})
	to, found := b.scratch(x.Rows)
	b.call("nearest").pointers(to, b.input(y), b.vector(half[:book.N])).sizes(x.Rows, book.N).groups(x.Rows, 1)
	b.wait()
	copy(codes, unsafe.Slice((*int32)(unsafe.Pointer(&found[0])), x.Rows))
	runtime.KeepAlive(book)
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
		_, rows := b.scratch(y.Rows * y.Cols)
		for t, c := range codes[:y.Rows] {
			copy(rows[t*y.Cols:(t+1)*y.Cols], table.Row(int(c)))
		}
		b.finish(y, backend.Host(rows, y.Rows, y.Cols), backend.Epilogue{})
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

// GroupNorm runs on the host: its sums are float64, which few devices have.
func (b *Backend) GroupNorm(y, x *backend.Tensor, groups int, gamma, beta []float32, eps float32) {
	b.Wait()
	b.host.GroupNorm(y, x, groups, gamma, beta, eps)
}

// AdamWStep runs on the host, where weights and moments live.
func (b *Backend) AdamWStep(w, g, m, v []float32, a backend.AdamW) { b.host.AdamWStep(w, g, m, v, a) }

var _ backend.Rotator = (*Backend)(nil)

// Rotate turns pairs of values.
func (b *Backend) Rotate(y, x *backend.Tensor, cos, sin []float32, half int, back bool) {
	backend.SameShape("Rotate", y, x)
	if half < 1 || x.Cols%(2*half) != 0 || len(cos) < x.Rows*half || len(sin) < x.Rows*half {
		backend.Fail("Rotate: heads of %d columns in [%d, %d], %d and %d angles", 2*half, x.Rows, x.Cols, len(cos), len(sin))
	}
	b.begin()
	defer b.mu.Unlock()
	to, home := b.output(y)
	way := uint32(0)
	if back {
		way = 1
	}
	b.call("rotate", way).pointers(to, b.input(x), b.vector(cos[:x.Rows*half]), b.vector(sin[:x.Rows*half])).
		sizes(x.Rows, x.Cols/(2*half), half, y.Stride, x.Stride).over(x.Rows * x.Cols / 2)
	b.bring(home)
}
