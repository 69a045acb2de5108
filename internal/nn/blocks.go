package nn

import "github.com/sotto-audio/sotto/internal/backend"

// Blocks gives a layer its rows in whole blocks of so many, and what is left over
// with the end: a layer that looks at the other rows of its block alone then gives
// the same for every chunking.
type Blocks struct {
	Rows  int
	Layer Layer
}

// Params lists those of the layer.
func (b *Blocks) Params() []*Param { return b.Layer.Params() }

// Reach is a block, at the end of which its first row is known.
func (b *Blocks) Reach() Reach {
	return Reach{Past: float64(b.Rows - 1), Ahead: float64(b.Rows - 1), Rate: 1}
}

// Step runs the layer on the blocks that are whole.
func (b *Blocks) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	q := s.queue(b, 0)
	q.push(s, x)
	n := q.held / b.Rows * b.Rows
	if s.Last {
		n = q.held
	}
	return b.Layer.Step(s, q.pop(s, n, x.Cols))
}
