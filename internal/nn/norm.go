package nn

import "github.com/sotto-audio/sotto/internal/backend"

// GroupNorm normalises groups of channels over the whole signal, then scales and
// shifts each channel (Wu & He 2018). It gives all rows at the signal's end. One
// group is a LayerNorm over time and channels.
type GroupNorm struct {
	Groups      int
	Gamma, Beta *Param // [C]
	Eps         float32
}

// NewGroupNorm makes a norm with Gamma 1 and Beta 0, called name.gamma and
// name.beta.
func NewGroupNorm(name string, groups, channels int) *GroupNorm {
	n := NewLayerNorm(name, channels)
	return &GroupNorm{Groups: groups, Gamma: n.Gamma, Beta: n.Beta, Eps: n.Eps}
}

// Params lists gamma and beta.
func (n *GroupNorm) Params() []*Param { return []*Param{n.Gamma, n.Beta} }

// Reach is the whole signal.
func (n *GroupNorm) Reach() Reach { return Everything() }

// Step normalises each item of the batch at its end.
func (n *GroupNorm) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	x = s.collect(n, x)
	y := s.Tensor(x.Rows, x.Cols)
	steps := x.Rows / s.Batch
	for i := range s.Batch {
		if steps > 0 {
			s.Backend.GroupNorm(s.Rows(y, i*steps, (i+1)*steps), s.Rows(x, i*steps, (i+1)*steps), n.Groups, n.Gamma.On(s.Backend), n.Beta.On(s.Backend), n.Eps)
		}
	}
	return y
}

// RMSNorm divides each row by its root mean square and scales it (Zhang & Sennrich
// 2019).
type RMSNorm struct {
	Gamma *Param // [C]
	Eps   float32
}

// NewRMSNorm makes a norm with Gamma 1, called name.gamma.
func NewRMSNorm(name string, channels int) *RMSNorm {
	n := NewLayerNorm(name, channels)
	return &RMSNorm{Gamma: n.Gamma, Eps: n.Eps}
}

// Params lists gamma.
func (n *RMSNorm) Params() []*Param { return []*Param{n.Gamma} }

// Step normalises the rows.
func (n *RMSNorm) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	s.Backend.RMSNorm(y, x, n.Gamma.On(s.Backend), n.Eps)
	return y
}
