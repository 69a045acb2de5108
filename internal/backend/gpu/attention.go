package gpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
)

// mostWeights bounds the memory of the weights of an attention, in values.
const mostWeights = 16 << 20

// widest is the largest number of keys of a row.
func widest(from, to []int32) int {
	n := 1
	for m := range from {
		n = max(n, int(to[m])-int(from[m]))
	}
	return n
}

// Attention sets y to the values that the rows of q attend to.
func (b *Backend) Attention(y, q, k, v *backend.Tensor, from, to []int32, heads int, scale float32) {
	backend.CheckAttention("Attention", q, k, v, from, to, heads)
	backend.SameShape("Attention", q, y)
	b.begin()
	defer b.mu.Unlock()
	b.attention(y, q, k, v, from, to, heads, scale)
}

func (b *Backend) attention(y, q, k, v *backend.Tensor, from, to []int32, heads int, scale float32) {
	if q.Rows == 0 || q.Cols == 0 {
		return
	}
	from, to = from[:q.Rows], to[:q.Rows]
	width := widest(from, to)
	out, back := b.output(y)
	rows := min(q.Rows, max(1, mostWeights/(heads*width)))
	// The rounds take their turns with one memory of weights.
	weights, _ := b.scratch(rows * heads * width)
	qa, ka, va, lo, hi := b.input(q), b.input(k), b.input(v), b.ints(from), b.ints(to)
	for m := 0; m < q.Rows; m += rows {
		n := min(rows, q.Rows-m)
		b.call("attention", 0).pointers(out, qa, ka, va, lo, hi, weights, 0, 0).
			sizes(n, m, heads, q.Cols/heads, y.Stride, q.Stride, k.Stride, v.Stride, 0, 0, width).float(scale).groups(n*heads, 1)
	}
	b.bring(back)
}

// AttentionGrad sets dq and adds to dk and dv.
func (b *Backend) AttentionGrad(dq, dk, dv, q, k, v, y, dy *backend.Tensor, from, to []int32, heads int, scale float32) {
	backend.CheckAttention("AttentionGrad", q, k, v, from, to, heads)
	backend.SameShape("AttentionGrad", q, dq, y, dy)
	backend.SameShape("AttentionGrad", k, dk, dv)
	if q.Rows == 0 || q.Cols == 0 {
		return
	}
	b.begin()
	defer b.mu.Unlock()
	from, to = from[:q.Rows], to[:q.Rows]
	width, dim := widest(from, to), q.Cols/heads
	dqa, back := b.output(dq)
	dka, back2 := b.output(dk)
	dva, back3 := b.output(dv)
	rows := min(q.Rows, max(1, mostWeights/(2*heads*width)))
	weights, _ := b.scratch(2*rows*heads*width + rows*heads)
	qa, ka, va, ya, dya, lo, hi := b.input(q), b.input(k), b.input(v), b.input(y), b.input(dy), b.ints(from), b.ints(to)
	for m := 0; m < q.Rows; m += rows {
		n := min(rows, q.Rows-m)
		b.call("attention", 1).pointers(dqa, qa, ka, va, lo, hi, weights, ya, dya).
			sizes(n, m, heads, dim, dq.Stride, q.Stride, k.Stride, v.Stride, y.Stride, dy.Stride, width).float(scale).groups(n*heads, 1)
		b.call("attentionkv").pointers(dka, dva, qa, dya, weights, lo, hi).
			sizes(k.Rows, n, m, heads, dim, dk.Stride, dv.Stride, q.Stride, dy.Stride, width).float(scale).over(k.Rows * k.Cols)
	}
	b.bring(back, back2, back3)
}

// memory holds keys and values as they are.
type memory struct{ k, v *backend.Tensor }

// NewMemory makes an empty memory.
func (b *Backend) NewMemory(rows, cols, heads int) *backend.Memory {
	if heads < 1 || cols%heads != 0 || rows < 0 {
		backend.Fail("NewMemory: %d rows of %d columns in %d heads", rows, cols, heads)
	}
	return &backend.Memory{Cols: cols, Heads: heads, Packed: &memory{b.New(rows, cols), b.New(rows, cols)}}
}

// Remember adds rows.
func (b *Backend) Remember(m *backend.Memory, k, v *backend.Tensor) {
	backend.SameShape("Remember", k, v)
	p := m.Packed.(*memory)
	if k.Cols != m.Cols || m.Rows+k.Rows > p.k.Rows {
		backend.Fail("Remember: %d rows of %d columns on top of %d, room for %d of %d", k.Rows, k.Cols, m.Rows, p.k.Rows, m.Cols)
	}
	b.Copy(p.k.Slice(m.Rows, m.Rows+k.Rows), k)
	b.Copy(p.v.Slice(m.Rows, m.Rows+k.Rows), v)
	m.Rows += k.Rows
}

// Recall is Attention to all rows.
func (b *Backend) Recall(y, q *backend.Tensor, m *backend.Memory, scale float32) {
	backend.SameShape("Recall", q, y)
	if q.Cols != m.Cols || m.Rows == 0 {
		backend.Fail("Recall: queries of %d columns for %d rows of %d", q.Cols, m.Rows, m.Cols)
	}
	p := m.Packed.(*memory)
	from, to := make([]int32, q.Rows), make([]int32, q.Rows)
	for i := range to {
		to[i] = int32(m.Rows)
	}
	b.begin()
	defer b.mu.Unlock()
	b.attention(y, q, p.k, p.v, from, to, m.Heads, scale)
}
