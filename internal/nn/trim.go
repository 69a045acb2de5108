package nn

import "github.com/sotto-audio/sotto/internal/backend"

// Trim leaves out the first Left and the last Right rows of a signal.
type Trim struct{ Left, Right int }

// Params is empty.
func (*Trim) Params() []*Param { return nil }

// Reach is Right rows.
func (l *Trim) Reach() Reach { return Reach{Ahead: float64(l.Left + l.Right), Rate: 1} }

// Step gives the rows that are not the last ones so far.
func (l *Trim) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	q, st := s.queue(l, 0), s.State(l, 0, x.Cols)
	steps := x.Rows / s.Batch
	skip := min(l.Left-min(st.Seen, l.Left), steps) // of these rows
	st.Seen += steps
	q.push(s, x)
	if skip > 0 {
		s.Release(q.pop(s, skip, x.Cols))
	}
	return q.pop(s, max(q.held-l.Right, 0), x.Cols)
}
