package nn

import "github.com/sotto-audio/sotto/internal/backend"

// Chain runs layers one after the other.
type Chain []Layer

// Params lists those of all layers.
func (c Chain) Params() []*Param {
	var all []*Param
	for _, l := range c {
		all = append(all, l.Params()...)
	}
	return all
}

// Reach is that of all layers.
func (c Chain) Reach() Reach { return ReachOf(c...) }

// Step runs the layers. What a layer took from the one before is released.
func (c Chain) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	in := x
	for _, l := range c {
		y := l.Step(s, x)
		if x != in && x != y {
			s.Release(x)
		}
		x = y
	}
	return x
}

// Residual adds two paths: y = Shortcut(x) + Branch(x). Rows of the one that runs
// ahead wait for the other.
type Residual struct {
	Branch   Layer
	Shortcut Layer // nil for x itself
}

// Params lists those of both paths.
func (r *Residual) Params() []*Param {
	if r.Shortcut == nil {
		return r.Branch.Params()
	}
	return append(r.Branch.Params(), r.Shortcut.Params()...)
}

// Reach is the larger of both paths.
func (r *Residual) Reach() Reach {
	b := ReachOf(r.Branch)
	if r.Shortcut == nil {
		return b.Beside(Reach{Rate: b.Rate})
	}
	return b.Beside(ReachOf(r.Shortcut))
}

// Step adds what both paths give.
func (r *Residual) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	direct := x
	if r.Shortcut != nil {
		direct = r.Shortcut.Step(s, x)
	}
	branch := r.Branch.Step(s, x)
	if branch == x {
		panic("nn: a residual branch that gives its input")
	}
	a, b := s.queue(r, 0), s.queue(r, 1)
	if a.held == 0 && b.held == 0 && direct.Rows == branch.Rows {
		s.Backend.Add(branch, direct, branch)
		if direct != x {
			s.Release(direct)
		}
		return branch
	}
	a.push(s, direct)
	b.push(s, branch)
	n := min(a.held, b.held)
	y, other := a.pop(s, n, direct.Cols), b.pop(s, n, branch.Cols)
	s.Backend.Add(y, y, other)
	s.Release(other, branch)
	if direct != x {
		s.Release(direct)
	}
	return y
}

// Repeat gives the channels of its input so many times, side by side.
type Repeat int

// Params is empty.
func (Repeat) Params() []*Param { return nil }

// Step copies the channels.
func (n Repeat) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, int(n)*x.Cols)
	for i := range int(n) {
		s.Copy(s.Part(y, i*x.Cols, x.Cols), x)
	}
	return y
}
