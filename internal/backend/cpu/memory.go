package cpu

import "github.com/sotto-audio/sotto/internal/backend"

// memory holds the keys and values of heads of d columns in panels, with room for
// so many rows: keys as the transpose of a matrix [rows, d], values as a matrix
// [room, d].
type memory struct {
	d, room      int
	keys, values [][]float32 // of each head
}

// NewMemory makes an empty memory.
func (b *Backend) NewMemory(rows, cols, heads int) *backend.Memory {
	if heads < 1 || cols%heads != 0 || rows < 0 {
		backend.Fail("NewMemory: %d rows of %d columns in %d heads", rows, cols, heads)
	}
	nr := b.kernels.nr
	p := &memory{d: cols / heads, room: rows}
	for range heads {
		p.keys = append(p.keys, aligned(roundUp(rows, nr)*p.d))
		p.values = append(p.values, aligned(roundUp(p.d, nr)*rows))
	}
	return &backend.Memory{Cols: cols, Heads: heads, Packed: p}
}

// Remember adds rows.
func (b *Backend) Remember(m *backend.Memory, k, v *backend.Tensor) {
	backend.SameShape("Remember", k, v, nil)
	p := m.Packed.(*memory)
	if k.Cols != m.Cols || m.Rows+k.Rows > p.room {
		backend.Fail("Remember: %d rows of %d columns on top of %d, room for %d of %d", k.Rows, k.Cols, m.Rows, p.room, m.Cols)
	}
	nr := b.kernels.nr
	b.Each(m.Heads, 1, float64(k.Rows*p.d*2), func(lo, hi int) {
		for h := lo; h < hi; h++ {
			for i := range k.Rows {
				row := m.Rows + i
				to := p.keys[h][row/nr*nr*p.d+row%nr:]
				for c, x := range k.Row(i)[h*p.d : (h+1)*p.d] {
					to[c*nr] = x
				}
				from := v.Row(i)[h*p.d : (h+1)*p.d]
				for c := 0; c < p.d; c += nr {
					copy(p.values[h][(c*p.room)+row*nr:][:nr], from[c:])
				}
			}
		}
	})
	m.Rows += k.Rows
}

// Recall is Attention to all rows.
func (b *Backend) Recall(y, q *backend.Tensor, m *backend.Memory, scale float32) {
	backend.SameShape("Recall", q, y, nil)
	if q.Cols != m.Cols || m.Rows == 0 {
		backend.Fail("Recall: queries of %d columns for %d rows of %d", q.Cols, m.Rows, m.Cols)
	}
	j := b.job()
	j.y, j.x, j.memory, j.n, j.eps = y, q, m, m.Heads, scale
	blocks := (q.Rows + queryBlock - 1) / queryBlock
	j.do(blocks*m.Heads, recallPart)
}

func recallPart(j *job, part int, s *scratch) {
	h, block := part%j.n, part/j.n
	p := j.memory.Packed.(*memory)
	a := attention{b: j.b, s: s, q: j.x, c0: h * p.d, d: p.d, scale: j.eps, m0: block * queryBlock, n1: j.memory.Rows}
	a.m1 = min(a.m0+queryBlock, j.x.Rows)
	pitch := roundUp(a.n1, j.b.kernels.nr)
	e := s.get((a.m1 - a.m0) * pitch)
	a.product(e, pitch, a.n1, a.column(a.q, a.m0), a.q.Stride, a.d, p.keys[h], a.d)
	for i := range a.m1 - a.m0 {
		a.inverse[i] = 1 / a.softmax(e[i*pitch:][:a.n1])
	}
	a.product(a.column(j.y, a.m0), j.y.Stride, a.d, e, pitch, a.n1, p.values[h], p.room)
	a.normalise(j.y)
}
