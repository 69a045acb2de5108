package cpu

import "github.com/sotto-audio/sotto/internal/backend"

// pairValues is how many values of x, and as many differences, stay in the second-level
// cache beside a panel of weights.
const pairValues = 48 << 10

// minusOne turns a sum into a difference.
var minusOne = func() (v [4096]float32) {
	for i := range v {
		v[i] = -1
	}
	return v
}()

// ConvolvePairs convolves two rows that lie a dilation apart by three products.
func (b *Backend) ConvolvePairs(y, x *backend.Tensor, w *backend.Weights, taps, dilation, first int, ep backend.Epilogue) {
	backend.CheckConvolvePairs(y, x, w, taps, dilation, first)
	backend.SameShape("ConvolvePairs residual", y, ep.Residual, nil)
	checkEpilogue(w.N, &ep)
	if _, ok := w.Packed.(*panels); !ok {
		backend.Fail("ConvolvePairs: weights of reduced precision")
	}
	if y.Rows == 0 || w.N == 0 {
		return
	}
	j := b.job()
	j.y, j.x, j.w, j.ep, j.taps, j.dilation, j.n = y, x, w, ep, taps, dilation, first%(2*dilation)
	j.plan = b.planPairs(y.Rows, x.Cols, taps, w.N)
	j.do(j.plan.rowParts*j.plan.colParts, convolvePart)
}

// planPairs cuts rows so that those of a part stay in cache, into as many parts for
// every thread, and columns where rows are few.
func (b *Backend) planPairs(m, c, taps, n int) plan {
	const fewest = 48 // rows that are worth the differences of the rows beside them
	p := plan{rowParts: (m*c + pairValues - 1) / pairValues, colParts: 1}
	want := b.wantedParts(m, taps*c, n, 4)
	p.rowParts = max(p.rowParts, min(want, m/fewest), 1)
	if p.rowParts > 1 {
		p.rowParts = (p.rowParts + b.threads - 1) / b.threads * b.threads
	} else {
		p.colParts = max(min(want, (n+b.kernels.nr-1)/b.kernels.nr), 1)
	}
	return p
}

func convolvePart(j *job, part int, s *scratch) {
	nr := j.w.Packed.(*panels).nr
	p := pairs{b: j.b, s: s, y: j.y, x: j.x, w: j.w, ep: &j.ep, taps: j.taps, d: j.dilation}
	// Parts begin with a pair.
	m0, m1 := span(j.n+j.y.Rows, 2*j.dilation, part/j.plan.colParts, j.plan.rowParts)
	p.m0, p.m1 = max(m0-j.n, 0), m1-j.n
	p.phase = j.n
	n0, n1 := span(j.w.N, nr, part%j.plan.colParts, j.plan.colParts)
	if p.m0 < p.m1 && n0 < n1 {
		p.run(n0, n1)
	}
}

// pairs are the rows m0 to m1 of a convolution by pairs. Row m of y is row m + phase of
// the first pairs.
type pairs struct {
	b             *Backend
	s             *scratch
	y, x          *backend.Tensor
	w             *backend.Weights
	ep            *backend.Epilogue
	taps, d       int
	phase, m0, m1 int
	differences   []float32 // of the rows of x from m0 on
}

func (p *pairs) run(n0, n1 int) {
	p.subtract()
	k, d := p.b.kernels, p.d
	// Odd rows whose even one is before m0, and even rows whose odd one is not before
	// m1: each lie together.
	begin, end := p.begin(p.m0), p.begin(p.m1-1)
	odd0, odd1 := max(p.m0, begin+d), min(p.m0+d, begin+2*d, p.m1)
	even0, even1 := max(p.m0, end, p.m1-d), min(end+d, p.m1)
	for n := n0; n < n1; {
		// Rows that are few take several panels at once.
		by := k.together(p.m1-p.m0, (n1-n)/k.nr)
		if odd0 < odd1 {
			p.tiles(odd0-d, odd1-odd0, 1, n, by, false, true)
		}
		if p.m1-p.m0 < 2*d*d { // more pairs lie side by side than one behind the other
			for m := begin; m < p.m1; m += 2 * d {
				if from, to := max(m, p.m0), min(m+d, p.m1-d); from < to {
					p.tiles(from, to-from, 1, n, by, true, true)
				}
			}
		} else {
			for r := range min(2*d, p.m1-p.m0) {
				m := p.m0 + r
				if even := (m+p.phase)/d%2 == 0; even && m+d < p.m1 {
					p.tiles(m, (p.m1-m-d-1)/(2*d)+1, 2*d, n, by, true, true)
				}
			}
		}
		if even0 < even1 {
			p.tiles(even0, even1-even0, 1, n, by, true, false)
		}
		p.b.epilogue(p.y, p.m0, p.m0, p.m1-p.m0, n, min(by*k.nr, n1-n), p.ep)
		n += by * k.nr
	}
}

// begin is the first row of the 2·d that are pairs of each other and that row m is of.
func (p *pairs) begin(m int) int { return (m+p.phase)/(2*p.d)*2*p.d - p.phase }

// tiles computes count pairs from row m on, whose rows lie step apart: their even rows,
// their odd ones, or both.
func (p *pairs) tiles(m, count, step, n, by int, even, odd bool) {
	k := p.b.kernels
	c, half := p.x.Cols, p.taps/2
	data := p.w.Packed.(*panels).data[n*p.w.K:]
	width := min(by*k.nr, p.w.N-n)
	middle := sums{p.s.pairs, by * k.nr}
	f := factors{k: c, rows: step * c, step: 1, apart: 2 * p.d * c}
	tiles := (count + k.mr() - 1) / k.mr()
	for tile := range tiles {
		i0, i1 := tile*count/tiles, (tile+1)*count/tiles
		at := m + step*i0
		// What both have.
		f.runs, f.a, f.more, f.next = half, p.x.Data[(at+p.d)*c:], 0, nil
		p.product(f, i1-i0, by, data, sums{}, middle, by*k.nr)
		if even {
			f.runs, f.a, f.more, f.next = half, p.differences[(at-p.m0)*c:], 0, nil
			if p.taps%2 == 1 {
				f.more, f.next = 1, p.x.Data[(at+(p.taps-1)*p.d)*c:]
			}
			p.product(f, i1-i0, by, data[half*c*k.nr:], middle, p.rows(at, step, n), width)
		}
		if odd {
			f.runs, f.a, f.more, f.next = half, p.differences[(at+p.d-p.m0)*c:], 0, nil
			if p.taps%2 == 1 {
				f.runs, f.a, f.more, f.next = 1, p.x.Data[(at+p.taps*p.d)*c:], half, f.a
			}
			p.product(f, i1-i0, by, data[2*half*c*k.nr:], middle, p.rows(at+p.d, step, n), width)
		}
	}
}

// rows are those of y from m on, step apart, from column n on.
func (p *pairs) rows(m, step, n int) sums {
	return sums{p.y.Data[m*p.y.Stride+n:], step * p.y.Stride}
}

// product is a tile of by panels.
func (p *pairs) product(f factors, rows, by int, panel []float32, from, to sums, width int) {
	k := p.b.kernels
	pitch := p.w.K * k.nr
	if by > 1 && k.together(rows, by) == by {
		k.wide[rows].run(f, panel, pitch, from, to)
		return
	}
	for i := 0; i < by; i++ {
		p.b.tile(f, rows, panel[i*pitch:], from.column(i*k.nr), to.column(i*k.nr), min(width-i*k.nr, k.nr), p.s)
	}
}

// column is the sums from column n on; none of none.
func (s sums) column(n int) sums {
	if s.data != nil {
		s.data = s.data[n:]
	}
	return s
}

// subtract fills differences: each row of x less the row a dilation later, or the
// reverse where the row is an odd one of a pair.
func (p *pairs) subtract() {
	c, d := p.x.Cols, p.d
	rows := p.m1 - p.m0 + 2*(p.taps/2-1)*d
	p.differences = p.s.get(rows * c)
	for r := 0; r < rows; {
		// Rows of one kind: up to the next multiple of d.
		kind := (r + p.m0 + p.phase) / d
		n := min((kind+1)*d-(r+p.m0+p.phase), rows-r)
		if n == d { // many blocks of d rows at once
			blocks := (rows - r) / (2 * d)
			if blocks > 1 && d*c <= len(minusOne) {
				p.blocks(r, kind, blocks)
				p.blocks(r+d, kind+1, blocks)
				r += 2 * d * blocks
				continue
			}
		}
		for i := r; i < r+n; i++ {
			for lo := 0; lo < c; lo += len(minusOne) {
				p.less(i*c+lo, kind, 1, min(c-lo, len(minusOne)))
			}
		}
		r += n
	}
}

// blocks subtracts blocks of d rows from row r on, which lie 2·d rows apart.
func (p *pairs) blocks(r, kind, blocks int) { p.less(r*p.x.Cols, kind, blocks, p.d*p.x.Cols) }

// less subtracts n values at a place of the differences, and as many in each of the
// other blocks.
func (p *pairs) less(at, kind, blocks, n int) {
	step := p.d * p.x.Cols
	a, z := p.x.Data[p.m0*p.x.Cols+at:], p.x.Data[p.m0*p.x.Cols+at+step:]
	if kind%2 == 1 {
		a, z = z, a
	}
	to := p.differences[at:]
	if v := p.b.kernels.vector; v != nil {
		v.pointwise[backend.Identity](blocks, n, &to[0], uintptr(2*step)*4, &z[0], uintptr(2*step)*4,
			nil, nil, nil, &minusOne[0], &a[0], uintptr(2*step)*4)
		return
	}
	for i := range blocks {
		for k := range n {
			to[2*step*i+k] = a[2*step*i+k] - z[2*step*i+k]
		}
	}
}
