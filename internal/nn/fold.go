package nn

import "github.com/sotto-audio/sotto/internal/backend"

// Fold joins N rows to one of N times the columns: [N·T, C] → [T, N·C]. A step
// must have a multiple of N rows.
type Fold struct{ N int }

// Params is empty.
func (Fold) Params() []*Param { return nil }

// Step gives a view of x.
func (f Fold) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	return s.reshape(x, x.Rows/f.N, x.Cols*f.N)
}

// Backward gives a view of dy.
func (f Fold) Backward(s *Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	return s.reshape(dy, x.Rows, x.Cols)
}

// Unfold is the inverse of Fold: [T, N·C] → [N·T, C].
type Unfold struct{ N int }

// Params is empty.
func (Unfold) Params() []*Param { return nil }

// Step gives a view of x.
func (f Unfold) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	return s.reshape(x, x.Rows*f.N, x.Cols/f.N)
}

// Backward gives a view of dy.
func (f Unfold) Backward(s *Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	return s.reshape(dy, x.Rows, x.Cols)
}

// reshape is a view of a dense tensor that lives until the next Begin.
func (s *Stream) reshape(t *backend.Tensor, rows, cols int) *backend.Tensor {
	v := s.arena.view(t)
	v.Rows, v.Cols, v.Stride = rows, cols, cols
	return v
}
