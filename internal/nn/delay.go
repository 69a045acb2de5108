package nn

import "github.com/sotto-audio/sotto/internal/backend"

// Delay gives its input Rows rows later, zeros first. A residual path that is
// delayed beside a causal convolution gives that convolution Rows of lookahead.
type Delay struct{ Rows, Channels int }

// Params is empty.
func (*Delay) Params() []*Param { return nil }

// Step gives x[t − Rows].
func (d *Delay) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	if x.Rows == 0 {
		return y
	}
	steps := x.Rows / s.Batch
	past := s.State(d, d.Rows, d.Channels).History
	near := min(d.Rows, steps)
	joined := s.Tensor(d.Rows+near, d.Channels)
	for i := range s.Batch {
		item, in, out := s.Rows(past, i*d.Rows, (i+1)*d.Rows), s.Rows(x, i*steps, (i+1)*steps), s.Rows(y, i*steps, (i+1)*steps)
		s.Copy(s.Rows(joined, 0, d.Rows), item)
		s.Copy(s.Rows(joined, d.Rows, d.Rows+near), s.Rows(in, steps-near, steps))
		s.Copy(s.Rows(out, 0, near), s.Rows(joined, 0, near))
		s.Copy(s.Rows(out, near, steps), s.Rows(in, 0, steps-near))
		s.Copy(item, s.Rows(joined, near, near+d.Rows))
	}
	return y
}

// Backward gives dy[t + Rows], zeros last.
func (d *Delay) Backward(s *Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	dx := s.Tensor(x.Rows, x.Cols)
	steps := x.Rows / s.Batch
	zeros := s.New(d.Rows, d.Channels)
	shift := min(d.Rows, steps)
	for i := range s.Batch {
		s.Copy(dx.Slice(i*steps, (i+1)*steps-shift), dy.Slice(i*steps+shift, (i+1)*steps))
		s.Copy(dx.Slice((i+1)*steps-shift, (i+1)*steps), zeros.Slice(0, shift))
	}
	return dx
}
