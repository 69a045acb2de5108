package cpu

import (
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// reduced is a matrix [K, N] of reduced precision, cut into panels of nr columns
// that are filled up with zeros. A panel is a sequence of steps of K, filled up with
// zeros too; a step holds its values of one column after the other.
type reduced struct {
	*dotKernels
	steps int
	data  []byte
	start []int32   // what the integer sums start from, a column each
	scale []float32 // of integers, a column each
}

// panel is the number of bytes of a panel.
func (r *reduced) panel() int { return r.steps * r.nr * r.step * r.columnBytes }

// slot is the place of a value in data.
func (r *reduced) slot(k, n int) int {
	return n/r.nr*r.panel() + ((k/r.step*r.nr+n%r.nr)*r.step+k%r.step)*r.columnBytes
}

// PackReduced lays out w [K, N] row-major for MatMul in precision p.
func (b *Backend) PackReduced(w []float32, k, n int, p backend.Precision) *backend.Weights {
	if p == backend.Float32 || p == backend.TF32 {
		return b.Pack(w, k, n)
	}
	d := b.kernels.dot[p]
	switch {
	case p == backend.Int8 && k > backend.MaxInt8:
		backend.Fail("PackReduced: %d integer products do not fit an int32", k)
	case len(w) != k*n:
		backend.Fail("PackReduced: %d values for a matrix [%d, %d]", len(w), k, n)
	case d == nil:
		return naive.PackReduced(w, k, n, p)
	}
	r := &reduced{dotKernels: d, steps: (k + d.step - 1) / d.step}
	wide := (n + d.nr - 1) / d.nr
	r.data = alignedBytes(wide * r.panel())
	if p == backend.Int8 {
		r.start, r.scale = make([]int32, wide*d.nr), make([]float32, wide*d.nr)
		r.packInt8(w, k, n)
	} else {
		r.packBFloat16(w, k, n)
	}
	return &backend.Weights{K: k, N: n, Packed: r}
}

func (r *reduced) packInt8(w []float32, k, n int) {
	column, factor := make([]float32, k), make([]float32, n)
	for c := range n {
		for i := range k {
			column[i] = w[i*n+c]
		}
		r.scale[c], factor[c] = f32.Int8Scale(f32.MaxAbs(column))
	}
	for i := range k {
		for c, f := range factor {
			q := f32.Int8(w[i*n+c], f)
			r.data[r.slot(i, c)] = byte(q)
			r.start[c] -= r.offset * int32(q)
		}
	}
}

func (r *reduced) packBFloat16(w []float32, k, n int) {
	for i := range k {
		for c := range n {
			h := f32.BFloat16(w[i*n+c])
			at := r.slot(i, c)
			r.data[at], r.data[at+1] = byte(h), byte(h>>8)
		}
	}
}

// planReduced cuts rows before columns: every part of a row converts it.
func (b *Backend) planReduced(m, k, n int, d *dotKernels) plan {
	want := max(b.wantedParts(m, k, n, d.columnBytes), 1)
	mr := len(d.tile) - 1
	p := plan{rowParts: max((m+rowBlock-1)/rowBlock, min(want, (m+mr-1)/mr))}
	p.colParts = min((want+p.rowParts-1)/p.rowParts, (n+d.nr-1)/d.nr)
	return p
}

// reducedPart is matMulPart for a matrix of reduced precision. A part converts the
// rows that it needs.
func reducedPart(j *job, part int, s *scratch) {
	r := j.w.Packed.(*reduced)
	m0, m1 := span(j.y.Rows, 1, part%j.plan.rowParts, j.plan.rowParts)
	n0, n1 := span(j.w.N, r.nr, part/j.plan.rowParts, j.plan.colParts)
	if m0 == m1 || n0 == n1 {
		return
	}
	m := m1 - m0
	pitch := r.pitch(j.w.K)
	buf := s.get(m*pitch/4 + m)
	scales := buf[m*pitch/4:]
	x := unsafe.Slice((*byte)(unsafe.Pointer(&buf[0])), m*pitch)
	r.convert(m, j.w.K, at(x, 0), uintptr(pitch), at(j.x.Data, m0*j.x.Stride), uintptr(j.x.Stride)*4, &scales[0])
	for n := n0; n < n1; {
		width := min(r.panels(m, n1-n)*r.nr, n1-n)
		r.product(j.y, x, pitch, scales, m0, n, width, s)
		j.b.epilogue(j.y, m0, m0, m, n, width, &j.ep)
		n += width
	}
}

// panels is the number of panels that one kernel takes of what is left of m rows.
func (r *reduced) panels(m, left int) int {
	if m < len(r.wide) && r.wideBy[m]*r.nr <= left {
		return r.wideBy[m]
	}
	return 1
}

// pitch is the distance of converted rows, in bytes: whole groups of values, and
// away from the powers of two that share cache sets.
func (r *reduced) pitch(k int) int {
	const group = 16
	p := max((k+group-1)/group, 1) * group * r.rowBytes
	if p%1024 == 0 {
		p += 64
	}
	return p
}

// product computes columns from n on, the start of a panel, of the rows of y from
// m0 on, one for each scale. Panels are not cut into blocks of K: their values are
// small.
func (r *reduced) product(y *backend.Tensor, x []byte, pitch int, scales []float32, m0, n, width int, s *scratch) {
	m, mr, kernel := len(scales), len(r.tile)-1, r.tile
	if width > r.nr {
		kernel = r.wide
	}
	bytes := r.panel()
	panel, start, columns := at(r.data, n/r.nr*bytes), at(r.start, n), at(r.scale, n)
	tiles := (m + mr - 1) / mr
	for t := range tiles {
		i0, i1 := t*m/tiles, (t+1)*m/tiles
		c, cs := y.Data[(m0+i0)*y.Stride+n:], y.Stride
		if width < r.nr { // at the edge, through a buffer
			c, cs = s.tile, r.nr
		}
		kernel[i1-i0](r.steps, at(x, i0*pitch), uintptr(pitch), panel, uintptr(bytes),
			start, &scales[i0], columns, &c[0], uintptr(cs)*4)
		for i := 0; width < r.nr && i < i1-i0; i++ {
			copy(y.Data[(m0+i0+i)*y.Stride+n:][:width], c[i*cs:])
		}
	}
}

// naivePart multiplies by a matrix that package ref packed.
func naivePart(j *job, part int, _ *scratch) {
	lo, hi := span(j.y.Rows, 1, part, j.parts)
	if lo < hi {
		ep := j.ep
		ep.Residual = rows(ep.Residual, lo, hi)
		naive.MatMul(rows(j.y, lo, hi), rows(j.x, lo, hi), j.w, ep)
	}
}

func alignedBytes(n int) []byte {
	s := aligned((n + 3) / 4)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), n)
}
