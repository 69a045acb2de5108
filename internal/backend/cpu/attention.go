package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// queryBlock is the number of rows of q that share packed keys.
const queryBlock = 64

// Attention sets y to the values that the rows of q attend to.
func (b *Backend) Attention(y, q, k, v *backend.Tensor, from, to []int32, heads int, scale float32) {
	backend.CheckAttention("Attention", q, k, v, from, to, heads)
	backend.SameShape("Attention", q, y, nil)
	j := b.job()
	j.y, j.x, j.z, j.hat = y, q, k, v
	j.codes, j.ends, j.n, j.eps = from, to, heads, scale
	blocks := (q.Rows + queryBlock - 1) / queryBlock
	j.do(blocks*heads, attentionPart)
}

// AttentionGrad sets dq and adds to dk and dv.
func (b *Backend) AttentionGrad(dq, dk, dv, q, k, v, y, dy *backend.Tensor, from, to []int32, heads int, scale float32) {
	backend.CheckAttention("AttentionGrad", q, k, v, from, to, heads)
	backend.SameShape("AttentionGrad", q, dq, y)
	backend.SameShape("AttentionGrad", k, dk, dv)
	backend.SameShape("AttentionGrad", q, dy, nil)
	b.Each(heads, 1, 1e6, func(lo, hi int) {
		s := b.pool.take()
		defer b.pool.put(s)
		for h := lo; h < hi; h++ {
			c0 := h * (q.Cols / heads)
			a := attention{b: b, s: s, q: q, k: k, v: v, from: from, to: to, c0: c0, d: q.Cols / heads, scale: scale}
			for m := 0; m < q.Rows; {
				m = a.block(m, q.Rows)
				a.gradient(dq, dk, dv, y, dy)
			}
		}
	})
}

func attentionPart(j *job, part int, s *scratch) {
	h, block := part%j.n, part/j.n
	d := j.x.Cols / j.n
	a := attention{b: j.b, s: s, q: j.x, k: j.z, v: j.hat, from: j.codes, to: j.ends, c0: h * d, d: d, scale: j.eps}
	end := min((block+1)*queryBlock, j.x.Rows)
	for m := block * queryBlock; m < end; {
		m = a.block(m, end)
		a.forward(j.y)
	}
}

// attention is the work on one head: rows m0 to m1 of q and rows n0 to n1 of k
// and v, which are those that any of the queries sees. The weights of those that
// a query does not see are 0, which leaves sums as they are.
type attention struct {
	b              *Backend
	s              *scratch
	q, k, v        *backend.Tensor
	from, to       []int32
	c0, d          int // columns of the head
	scale          float32
	m0, m1, n0, n1 int
	// inverse holds the factor r of each query.
	inverse [queryBlock]float32
}

// block takes queries from m on whose ranges of keys overlap, and gives the one
// after them.
func (a *attention) block(m, end int) int {
	a.m0, a.n0, a.n1 = m, int(a.from[m]), int(a.to[m])
	end = min(end, m+queryBlock)
	for m++; m < end; m++ {
		lo, hi := int(a.from[m]), int(a.to[m])
		if lo >= a.n1 || hi <= a.n0 {
			break
		}
		a.n0, a.n1 = min(a.n0, lo), max(a.n1, hi)
	}
	a.m1 = m
	return m
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// column is the address of the head's columns in a row.
func (a *attention) column(t *backend.Tensor, row int) []float32 { return t.Data[row*t.Stride+a.c0:] }

func (a *attention) forward(y *backend.Tensor) {
	n := a.n1 - a.n0
	if n <= 0 {
		for m := a.m0; m < a.m1; m++ {
			clear(a.column(y, m)[:a.d])
		}
		return
	}
	nr := a.b.kernels.nr
	pitch, width := roundUp(n, nr), roundUp(a.d, nr)
	buf := a.s.get((a.m1-a.m0)*pitch + max(pitch*a.d, width*n))
	e, panels := buf[:(a.m1-a.m0)*pitch], buf[(a.m1-a.m0)*pitch:]
	a.weights(e, pitch, panels)
	a.pack(panels, a.v)
	a.product(a.column(y, a.m0), y.Stride, a.d, e, pitch, n, panels, n)
	a.normalise(y)
}

// normalise multiplies the rows by their factors.
func (a *attention) normalise(y *backend.Tensor) {
	for m := a.m0; m < a.m1; m++ {
		r := a.inverse[m-a.m0]
		row := a.column(y, m)[:a.d]
		for c := range row {
			row[c] *= r
		}
	}
}

// weights sets the rows of e to the weights of the keys.
func (a *attention) weights(e []float32, pitch int, panels []float32) {
	n := a.n1 - a.n0
	a.packTransposed(panels, a.k)
	a.product(e, pitch, n, a.column(a.q, a.m0), a.q.Stride, a.d, panels, a.d)
	for m := a.m0; m < a.m1; m++ {
		row := e[(m-a.m0)*pitch:][:n]
		lo, hi := int(a.from[m])-a.n0, int(a.to[m])-a.n0
		if lo >= hi {
			clear(row)
			a.inverse[m-a.m0] = 0
			continue
		}
		clear(row[:lo])
		clear(row[hi:])
		a.inverse[m-a.m0] = 1 / a.softmax(row[lo:hi])
	}
}

// softmax sets x to exp(scale·x − max) and gives their sum.
func (a *attention) softmax(x []float32) float32 {
	if v := a.b.kernels.vector; v != nil {
		sum := &a.s.best[0] // on the heap already
		v.softmax(len(x), &x[0], sum, a.scale)
		return *sum
	}
	for i := range x {
		x[i] = float32(x[i] * a.scale)
	}
	top := x[0]
	for _, s := range x {
		top = max(top, s)
	}
	var p [f32.Lanes]float32
	for i := range x {
		x[i] = f32.Exp(x[i] - top)
		p[i%f32.Lanes] += x[i]
	}
	return f32.Tree(&p)
}

// packTransposed makes panels of the transpose of the head's columns of t.
func (a *attention) packTransposed(panels []float32, t *backend.Tensor) {
	nr := a.b.kernels.nr
	n := a.n1 - a.n0
	for j0 := 0; j0 < n; j0 += nr {
		panel := panels[j0*a.d : (j0+nr)*a.d]
		count := min(nr, n-j0)
		if count < nr {
			clear(panel)
		}
		src := a.column(t, a.n0+j0)
		c := 0
		for v := a.b.kernels.vector; v != nil && a.d >= 8 && c+8 <= count; c += 8 {
			v.transpose(a.d/8, &panel[c], uintptr(nr)*4, &src[c*t.Stride], uintptr(t.Stride)*4)
			transposeScalar(panel[c:], src[c*t.Stride:], nr, t.Stride, a.d&^7, a.d, 8)
		}
		if c < count {
			transposeScalar(panel[c:], src[c*t.Stride:], nr, t.Stride, 0, a.d, count-c)
		}
	}
}

// pack makes panels of the head's columns of t.
func (a *attention) pack(panels []float32, t *backend.Tensor) {
	packColumns(panels, a.column(t, a.n0), t.Stride, a.n1-a.n0, a.b.kernels.nr, 0, a.d)
}

// product sets the rows of y, of the given width, to those of x times the panels,
// which have room for so many rows.
func (a *attention) product(y []float32, ys, width int, x []float32, xs, k int, panels []float32, room int) {
	nr, mr, rows := a.b.kernels.nr, a.b.kernels.mr(), a.m1-a.m0
	n := 0
	if wide := a.b.kernels.wide; rows < len(wide) && wide[rows] != nil {
		for by := a.b.kernels.wideBy[rows] * nr; n+by <= width; n += by {
			wide[rows](k, 1, &x[0], uintptr(xs)*4, 4, 0, 0, nil, &panels[n*room], uintptr(room*nr)*4, nil, 0, &y[n], uintptr(ys)*4)
		}
	}
	for ; n < width; n += nr {
		for i := 0; i < rows; i += mr {
			a.b.tile(factors{k: k, runs: 1, a: x[i*xs:], rows: xs, step: 1}, min(mr, rows-i), panels[n*room:], sums{}, sums{y[i*ys+n:], ys}, min(nr, width-n), a.s)
		}
	}
}

func (a *attention) gradient(dq, dk, dv, y, dy *backend.Tensor) {
	n, rows, nr := a.n1-a.n0, a.m1-a.m0, a.b.kernels.nr
	if n <= 0 {
		for m := a.m0; m < a.m1; m++ {
			clear(a.column(dq, m)[:a.d])
		}
		return
	}
	pitch, width := roundUp(n, nr), roundUp(a.d, nr)
	buf := a.s.get(2*rows*pitch + 2*rows*a.d + max(pitch*a.d, width*n, width*rows))
	part := func(n int) []float32 {
		p := buf[:n]
		buf = buf[n:]
		return p
	}
	e, g, d, x := part(rows*pitch), part(rows*pitch), part(rows*a.d), part(rows*a.d)
	panels := buf
	a.weights(e, pitch, panels)
	var deltas [queryBlock]float32
	for i := range rows {
		deltas[i] = a.delta(d[i*a.d:][:a.d], a.column(dy, a.m0+i), a.column(y, a.m0+i), a.inverse[i])
		for c, v := range a.column(a.q, a.m0+i)[:a.d] {
			x[i*a.d+c] = a.scale * v
		}
	}
	a.packTransposed(panels, a.v)
	a.product(g, pitch, n, d, a.d, a.d, panels, a.d)
	for i := range rows {
		softmaxGrad(a.b.kernels, g[i*pitch:][:n], e[i*pitch:], deltas[i])
	}
	a.pack(panels, a.k)
	a.product(a.column(dq, a.m0), dq.Stride, a.d, g, pitch, n, panels, n)
	for m := a.m0; m < a.m1; m++ {
		row := a.column(dq, m)[:a.d]
		for c := range row {
			row[c] *= a.scale
		}
	}
	a.accumulate(dk, g, pitch, x, panels)
	a.accumulate(dv, e, pitch, d, panels)
}

// delta sets d to dy·r and gives its product with y.
func (a *attention) delta(d, dy, y []float32, r float32) float32 {
	var p [f32.Lanes]float32
	for c := range d {
		d[c] = float32(dy[c] * r)
		p[c%f32.Lanes] = f32.FMA(d[c], y[c], p[c%f32.Lanes])
	}
	return f32.Tree(&p)
}

// softmaxGrad sets g to (g − delta)·e.
func softmaxGrad(k *kernels, g, e []float32, delta float32) {
	if v := k.vector; v != nil {
		v.softmaxGrad(len(g), &g[0], &e[0], delta)
		return
	}
	for i := range g {
		g[i] = (g[i] - delta) * e[i]
	}
}

// accumulate adds wᵀ·x to the head's columns of rows n0 to n1 of t.
func (a *attention) accumulate(t *backend.Tensor, w []float32, pitch int, x, panels []float32) {
	nr, mr, rows, n := a.b.kernels.nr, a.b.kernels.mr(), a.m1-a.m0, a.n1-a.n0
	packColumns(panels, x, a.d, rows, nr, 0, a.d)
	for c := 0; c < a.d; c += nr {
		for i := 0; i < n; i += mr {
			to := sums{a.column(t, a.n0+i)[c:], t.Stride}
			a.b.tile(factors{k: rows, runs: 1, a: w[i:], rows: 1, step: pitch}, min(mr, n-i), panels[c*rows:], to, to, min(nr, a.d-c), a.s)
		}
	}
}
