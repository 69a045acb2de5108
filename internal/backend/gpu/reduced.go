package gpu

import (
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// reduced is a matrix of reduced precision: words [words, pitch] of 32 bits, each with
// values of a column that follow each other, and of Int8 a scale for each column.
type reduced struct {
	backend.Precision
	store  *storage
	words  int
	pitch  int
	scales *storage
}

// PackReduced copies w [K, N] to the device in precision p.
func (b *Backend) PackReduced(w []float32, k, n int, p backend.Precision) *backend.Weights {
	switch {
	case p == backend.Float32:
		return b.Pack(w, k, n)
	case p == backend.TF32:
		r := b.Pack(w, k, n)
		r.Packed.(*weights).tf32 = b.driver.Tensor()
		return r
	case len(w) != k*n:
		backend.Fail("PackReduced: %d values for a matrix [%d, %d]", len(w), k, n)
	case p == backend.Int8 && k > backend.MaxInt8:
		backend.Fail("PackReduced: %d integer products do not fit an int32", k)
	}
	r := &reduced{Precision: p, words: (k + perWord(p) - 1) / perWord(p), pitch: (n + columnUnit - 1) / columnUnit * columnUnit}
	r.store = b.claim(r.words * r.pitch)
	words := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(r.store.block.floats(r.words*r.pitch)))), r.words*r.pitch)
	clear(words)
	put := func(i, c int, bits uint32) {
		words[i/perWord(p)*r.pitch+c] |= bits << (32 / perWord(p) * (i % perWord(p)))
	}
	if p == backend.BFloat16 {
		for i := range k {
			for c, v := range w[i*n : (i+1)*n] {
				put(i, c, uint32(f32.BFloat16(v)))
			}
		}
		return &backend.Weights{K: k, N: n, Packed: r}
	}
	r.scales = b.claim(n)
	scales := r.scales.block.floats(n)
	column := make([]float32, k)
	for c := range n {
		for i := range column {
			column[i] = w[i*n+c]
		}
		var factor float32
		scales[c], factor = f32.Int8Scale(f32.MaxAbs(column))
		for i, v := range column {
			put(i, c, uint32(uint8(f32.Int8(v, factor))))
		}
	}
	return &backend.Weights{K: k, N: n, Packed: r}
}

// perWord is the number of values in 32 bits.
func perWord(p backend.Precision) int {
	if p == backend.Int8 {
		return 4
	}
	return 2
}

// reduced sets y to the epilogue of the product of x and w.
func (b *Backend) reduced(y, x *backend.Tensor, w *reduced, ep backend.Epilogue) {
	if y.Rows == 0 || y.Cols == 0 {
		return
	}
	integers, scales := uint32(0), uint64(0)
	if w.Precision == backend.Int8 {
		integers, scales = 1, w.scales.block.address()
	}
	rows, _ := b.scratch(x.Rows * w.words)
	rowScales, _ := b.scratch(x.Rows)
	b.call("quantize", integers).pointers(rows, b.input(x), rowScales).sizes(x.Rows, x.Cols, x.Stride, w.words).groups(x.Rows, 1)
	to, back := b.output(y)
	operands := b.epilogue(&ep, y.Cols)
	if integers == 0 && b.driver.Tensor() {
		b.tensor(y, &ep, 1, to, rows, w.store.block.address(), operands, w.words, w.words, w.pitch)
		b.bring(back)
		return
	}
	const slab = 4 * MaxGroups // rows of a dispatch
	for m := 0; m < y.Rows; m += slab {
		n := min(slab, y.Rows-m)
		if ep.Residual != nil {
			operands[4] += 4 * uint64(min(m, slab)*ep.Residual.Stride) // of the rows of the slab
		}
		b.call("reduced", uint32(ep.Act), integers).
			pointers(to+4*uint64(m*y.Stride), rows+4*uint64(m*w.words), w.store.block.address(), rowScales+4*uint64(m), scales).pointers(operands...).
			sizes(n, y.Cols, w.words, y.Stride, w.pitch, stride(ep.Residual)).groups((y.Cols+63)/64, (n+3)/4)
	}
	b.bring(back)
}

// tensor enqueues a product of words by tensor cores: pairs of bfloat16, or float32.
func (b *Backend) tensor(y *backend.Tensor, ep *backend.Epilogue, pairs uint32, to, x, w uint64, operands []uint64, words, xs, ws int) {
	if y.Rows > 64*MaxGroups {
		backend.Fail("MatMul: %d rows", y.Rows)
	}
	b.call("tensor", uint32(ep.Act), pairs).pointers(to, x, w).pointers(operands...).
		sizes(y.Rows, y.Cols, words, y.Stride, xs, ws, stride(ep.Residual)).groups((y.Cols+63)/64, (y.Rows+63)/64)
}
