package ref

import "github.com/sotto-audio/sotto/internal/backend"

// memory holds keys and values as they are.
type memory struct{ k, v *backend.Tensor }

// NewMemory makes an empty memory.
func (b Backend) NewMemory(rows, cols, heads int) *backend.Memory {
	return &backend.Memory{Cols: cols, Heads: heads, Packed: memory{b.New(rows, cols), b.New(rows, cols)}}
}

// Remember adds rows.
func (b Backend) Remember(m *backend.Memory, k, v *backend.Tensor) {
	p := m.Packed.(memory)
	b.Copy(p.k.Slice(m.Rows, m.Rows+k.Rows), k)
	b.Copy(p.v.Slice(m.Rows, m.Rows+k.Rows), v)
	m.Rows += k.Rows
}

// Recall is Attention to all rows.
func (b Backend) Recall(y, q *backend.Tensor, m *backend.Memory, scale float32) {
	p := m.Packed.(memory)
	from, to := make([]int32, q.Rows), make([]int32, q.Rows)
	for i := range to {
		to[i] = int32(m.Rows)
	}
	b.Attention(y, q, p.k, p.v, from, to, m.Heads, scale)
}
