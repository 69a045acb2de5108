package cpu

import "github.com/sotto-audio/sotto/internal/backend"

const (
	rowBlock = 240  // rows of x that stay in the second-level cache
	maxKC    = 1024 // products of a tile before its sums are stored
)

// plan cuts a product into parts: blocks of rows by groups of panels.
type plan struct{ rowParts, colParts int }

// MatMul sets y = epilogue(x·w).
func (b *Backend) MatMul(y, x *backend.Tensor, w *backend.Weights, ep backend.Epilogue) {
	if x.Cols != w.K || y.Cols != w.N || x.Rows != y.Rows {
		backend.Fail("MatMul: [%d, %d] = [%d, %d]·[%d, %d]", y.Rows, y.Cols, x.Rows, x.Cols, w.K, w.N)
	}
	backend.SameShape("MatMul residual", y, ep.Residual, nil)
	checkEpilogue(w.N, &ep)
	if y.Rows == 0 || w.N == 0 {
		return
	}
	j := b.job()
	j.y, j.x, j.w, j.ep = y, x, w, ep
	switch p := w.Packed.(type) {
	case *panels:
		j.plan = b.planProduct(y.Rows, w.K, w.N)
		j.do(j.plan.rowParts*j.plan.colParts, matMulPart)
	case *reduced:
		j.plan = b.planReduced(y.Rows, w.K, w.N, p.dotKernels)
		j.do(j.plan.rowParts*j.plan.colParts, reducedPart)
	default:
		j.do(b.split(y.Rows, 1, float64(w.K)*float64(w.N)), naivePart)
	}
}

// fewRows is how many rows a thread must have for the weights that it reads for them
// to cost less than columns that another thread computed.
const fewRows = 32

func (b *Backend) planProduct(m, k, n int) plan {
	panels := (n + b.kernels.nr - 1) / b.kernels.nr
	p := plan{rowParts: (m + rowBlock - 1) / rowBlock, colParts: 1}
	want := b.wantedParts(m, k, n, 4)
	if p.rowParts > 1 || want > 1 && m >= fewRows*b.threads {
		p.rowParts = roundUp(p.rowParts, b.threads)
	}
	if p.rowParts < want {
		p.colParts = min((want+p.rowParts-1)/p.rowParts, panels)
	}
	if p.rowParts*p.colParts < want {
		p.rowParts = min(want/p.colParts, (m+b.kernels.mr()-1)/b.kernels.mr())
	}
	// As many parts for every thread, of as many panels where that can be had.
	even := 0
	for c := p.colParts; c <= min(panels, 2*p.colParts); c++ {
		if p.rowParts*c%b.threads > 0 {
			continue
		}
		if panels%c == 0 {
			even = c
			break
		}
		if even == 0 && c < p.colParts+b.threads {
			even = c
		}
	}
	p.colParts = max(p.colParts, even)
	return p
}

// wantedParts is the number of parts of a product that are worth a goroutine each,
// for weights of so many bytes: smaller ones are faster.
func (b *Backend) wantedParts(m, k, n, bytes int) int {
	if b.threads == 1 {
		return 1
	}
	// Nanoseconds at the usual rate; few rows wait for the weights instead.
	cost := float64(k) * float64(n) * max(float64(m)/40, 0.2) * float64(bytes) / 4
	return min(int(cost/10_000), 4*b.threads)
}

func matMulPart(j *job, part int, s *scratch) {
	nr := j.w.Packed.(*panels).nr
	m0, m1 := span(j.y.Rows, 1, part/j.plan.colParts, j.plan.rowParts)
	n0, n1 := span(j.w.N, nr, part%j.plan.colParts, j.plan.colParts)
	if m0 < m1 && n0 < n1 {
		j.b.product(j.y, m0, j.x, j.w, runs{max(j.taps, 1), j.dilation}, &j.ep, m0, m1, n0, n1, s)
	}
}

// runs says where the factors of a row of a product lie: in n runs of equal length,
// the first values of which are apart from each other by so many.
type runs struct{ n, apart int }

// together is one run.
var together = runs{n: 1}

// block is a part of the factors of a row: runs of kc, the first of which starts at
// the row's value at and at the row k0 of the weights.
type block struct{ at, k0, kc, runs int }

// blocks is the number of parts of k factors that are added up at once.
func (t runs) blocks(k int) int {
	if run := k / t.n; t.n == 1 || run > maxKC {
		return t.n * max((run+maxKC-1)/maxKC, 1)
	}
	return max((k+maxKC-1)/maxKC, 1)
}

// block is part i of n of k factors.
func (t runs) block(k, i, n int) block {
	run := k / t.n
	if n >= t.n { // parts of a run
		parts := n / t.n
		k0, k1 := i%parts*run/parts, (i%parts+1)*run/parts
		return block{i/parts*t.apart + k0, i/parts*run + k0, k1 - k0, 1}
	}
	first, end := i*t.n/n, (i+1)*t.n/n
	return block{first * t.apart, first * run, run, end - first}
}

// product computes the rows m0 to m1 of x times the columns n0 to n1 of w, n0
// at the start of a panel, to rows of y from y0 on.
func (b *Backend) product(y *backend.Tensor, y0 int, x *backend.Tensor, w *backend.Weights, t runs, ep *backend.Epilogue, m0, m1, n0, n1 int, s *scratch) {
	k := b.kernels
	nr, data := k.nr, w.Packed.(*panels).data
	m := m1 - m0
	tiles := (m + k.mr() - 1) / k.mr()
	blocks := t.blocks(w.K)
	for i := range blocks {
		part := t.block(w.K, i, blocks)
		kc := part.kc
		a, lda := x.Data, x.Stride
		if kc > 0 {
			a = a[m0*lda+part.at:]
			if part.runs == 1 {
				a, lda = b.spread(a, lda, m, kc, n1-n0, s)
			}
		}
		f := factors{k: kc, runs: part.runs, a: a, rows: lda, step: 1, apart: t.apart}
		for n := n0; n < n1; n += nr {
			width := min(nr, n1-n)
			panel := data[n*w.K+part.k0*nr:]
			if by := k.together(m, (n1-n)/nr); by > 1 && kc > 0 {
				to := sums{y.Data[y0*y.Stride+n:], y.Stride}
				from := to
				if i == 0 {
					from = sums{}
				}
				k.wide[m].run(f, panel, w.K*nr, from, to)
				if i == blocks-1 {
					b.epilogue(y, y0, m0, m, n, by*nr, ep)
				}
				n += (by - 1) * nr
				continue
			}
			for tile := range tiles {
				i0, i1 := tile*m/tiles, (tile+1)*m/tiles
				to := sums{y.Data[(y0+i0)*y.Stride+n:], y.Stride}
				if kc == 0 {
					for r := range i1 - i0 {
						clear(to.data[r*y.Stride:][:width])
					}
					continue
				}
				from := to
				if i == 0 {
					from = sums{}
				}
				f.a = a[i0*lda:]
				b.tile(f, i1-i0, panel, from, to, width, s)
			}
			if i == blocks-1 {
				b.epilogue(y, y0, m0, m, n, width, ep)
			}
		}
	}
}

// spread copies rows of a that would fall on the same cache sets, because
// their distance is a large power of two, to a better distance.
func (b *Backend) spread(a []float32, lda, m, kc, n int, s *scratch) ([]float32, int) {
	if lda%1024 != 0 || m < 4 || n < 4*b.kernels.nr {
		return a, lda
	}
	pitch := kc + 16
	buf := s.get(m * pitch)
	for i := range m {
		copy(buf[i*pitch:][:kc], a[i*lda:])
	}
	return buf, pitch
}

// factors are those of the rows of a tile: runs of k values that lie step apart, apart
// from one to the next, and then more of them from next on. The rows of a lie rows apart.
type factors struct {
	k, runs           int
	a                 []float32
	rows, step, apart int
	more              int
	next              []float32
}

// sums are rows of a tile that lie stride apart.
type sums struct {
	data   []float32
	stride int
}

// run runs the kernel; panels lie bps apart.
func (kernel gemmFunc) run(f factors, panel []float32, bps int, from, to sums) {
	kernel(f.k, f.runs, &f.a[0], uintptr(f.rows)*4, uintptr(f.step)*4, uintptr(f.apart)*4, f.more, at(f.next, 0),
		&panel[0], uintptr(bps)*4, at(from.data, 0), uintptr(from.stride)*4, &to.data[0], uintptr(to.stride)*4)
}

// together is the number of panels, of so many, that a kernel for m rows takes at once.
func (k *kernels) together(m, panels int) int {
	if m < len(k.wide) && k.wide[m] != nil && k.wideBy[m] <= panels {
		return k.wideBy[m]
	}
	return 1
}

// tile sets mr rows of one panel's columns to from, which may be empty, and the products
// of f. A panel at the edge, of fewer columns than the kernel writes, goes through a
// buffer.
func (b *Backend) tile(f factors, mr int, panel []float32, from, to sums, width int, s *scratch) {
	nr := b.kernels.nr
	kernel := b.kernels.tile[mr]
	if 2*width <= nr && b.kernels.half != nil {
		kernel, nr = b.kernels.half[mr], nr/2
	}
	if width == nr {
		b.runTile(kernel, f, mr, panel, from, to)
		return
	}
	buf := sums{s.tile, nr}
	if from.data != nil {
		for i := range mr {
			copy(buf.data[i*nr:][:width], from.data[i*from.stride:])
		}
		from = buf
	}
	b.runTile(kernel, f, mr, panel, from, buf)
	for i := range mr {
		copy(to.data[i*to.stride:][:width], buf.data[i*nr:])
	}
}

func (b *Backend) runTile(kernel gemmFunc, f factors, mr int, panel []float32, from, to sums) {
	if kernel != nil {
		kernel.run(f, panel, 0, from, to)
		return
	}
	gemmPortable(f, mr, b.kernels.nr, panel, from, to)
}
