package cpu

import (
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend"
)

// panels is a matrix [K, N] cut into panels of nr columns, the last one filled
// up with zeros: the value [k, n] is at data[(n/nr·K + k)·nr + n%nr].
type panels struct {
	data []float32
	nr   int
}

func (b *Backend) newPanels(k, n int) *backend.Weights {
	nr := b.kernels.nr
	return &backend.Weights{K: k, N: n, Packed: &panels{aligned((n + nr - 1) / nr * nr * k), nr}}
}

// Pack lays out w [K, N] row-major for MatMul.
func (b *Backend) Pack(w []float32, k, n int) *backend.Weights {
	p := b.newPanels(k, n)
	b.Repack(p, w, false)
	return p
}

// PackT lays out the transpose of w, where w is [N, K] row-major.
func (b *Backend) PackT(w []float32, n, k int) *backend.Weights {
	p := b.newPanels(k, n)
	b.Repack(p, w, true)
	return p
}

// Repack fills an existing packing with new values.
func (b *Backend) Repack(dst *backend.Weights, w []float32, transposed bool) {
	if len(w) != dst.K*dst.N {
		backend.Fail("Repack: %d values for a matrix [%d, %d]", len(w), dst.K, dst.N)
	}
	j := b.job()
	j.w, j.v0, j.transposed = dst, w, transposed
	nr := dst.Packed.(*panels).nr
	j.do(b.split(dst.N, nr, 0.5*float64(dst.K)), repackPart)
}

func repackPart(j *job, part int, _ *scratch) {
	p := j.w.Packed.(*panels)
	lo, hi := span(j.w.N, p.nr, part, j.parts)
	if j.transposed {
		j.b.packTransposed(p, j.v0, j.w.K, lo, hi)
	} else {
		packColumns(p.data[lo*j.w.K:], j.v0, j.w.N, j.w.K, p.nr, lo, hi)
	}
}

// packColumns copies columns lo to hi of w [k, ·], whose rows lie stride apart,
// to panels of nr columns.
func packColumns(dst, w []float32, stride, k, nr, lo, hi int) {
	for ; lo < hi; lo += nr {
		n := min(nr, hi-lo)
		if n < nr {
			clear(dst[:k*nr])
		}
		switch n {
		case 32:
			copyRows[[32]float32](dst, w[lo:], stride, k, nr)
		case 16:
			copyRows[[16]float32](dst, w[lo:], stride, k, nr)
		case 12:
			copyRows[[12]float32](dst, w[lo:], stride, k, nr)
		default:
			for r := range k {
				copy(dst[r*nr:r*nr+n], w[r*stride+lo:])
			}
		}
		dst = dst[k*nr:]
	}
}

// packTransposed copies rows lo to hi of w [N, K] to the columns of panels, by
// blocks of 8 rows of the panel: with the kernel where there is one, which
// takes 8 columns.
func (b *Backend) packTransposed(p *panels, w []float32, k, lo, hi int) {
	nr := p.nr
	for n0 := lo; n0 < hi; n0 += nr {
		panel := p.data[n0*k : (n0+nr)*k]
		cols := min(nr, hi-n0)
		if cols < nr {
			clear(panel)
		}
		src := w[n0*k:]
		c := 0
		for v := b.kernels.vector; v != nil && k >= 8 && c+8 <= cols; c += 8 {
			v.transpose(k/8, &panel[c], uintptr(nr)*4, &src[c*k], uintptr(k)*4)
			transposeScalar(panel[c:], src[c*k:], nr, k, k&^7, k, 8)
		}
		transposeScalar(panel[c:], src[c*k:], nr, k, 0, k, cols-c)
	}
}

// transposeScalar copies the values k0 to k1 of rows of src, which lie stride
// apart, to the columns of dst, whose rows lie nr apart.
func transposeScalar(dst, src []float32, nr, stride, k0, k1, rows int) {
	for i := k0; i < k1; i++ {
		for r := range rows {
			dst[i*nr+r] = src[r*stride+i]
		}
	}
}

// copyRows copies k rows of a length that the compiler knows, which saves the
// calls of copy.
func copyRows[Row [12]float32 | [16]float32 | [32]float32](dst, src []float32, stride, k, pitch int) {
	var row Row
	for r := range k {
		d, s := dst[r*pitch:][:len(row)], src[r*stride:][:len(row)]
		*(*Row)(unsafe.Pointer(&d[0])) = *(*Row)(unsafe.Pointer(&s[0]))
	}
}
