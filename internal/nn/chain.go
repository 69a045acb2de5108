package nn

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
)

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

// pieceValues is the size of a tensor that layers which follow each other still
// find in the second-level cache.
const pieceValues = 1 << 18

// pieceRows is the number of rows from which on reading the weights of a layer again
// for each piece costs little beside the products.
const pieceRows = 64

// Step runs the layers. What a layer took from the one before is released. Large
// tensors go through layers that do not wait for the end of the signal in pieces,
// which are small enough for the cache, as long as strides leave them rows enough.
func (c Chain) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	in := x
	for len(c) > 0 {
		n := 1
		if s.Batch == 1 && x.Rows*x.Cols > 2*pieceValues {
			n = c.split(x.Cols)
		}
		y := x
		if n > 1 {
			y = c[:n].pieces(s, x)
		} else {
			n = 1
			y = c[0].Step(s, x)
		}
		if x != in && x != y {
			s.Release(x)
		}
		x, c = y, c[n:]
	}
	return x
}

// split is the number of layers at the start that pieces of so many columns go
// through: they look ahead to a bound and leave a piece enough rows.
func (c Chain) split(cols int) int {
	rows := pieceValues / float64(cols)
	for i, l := range c {
		r := ReachOf(l)
		if rows *= r.Rate; rows < pieceRows || math.IsInf(r.Ahead, 1) {
			return i
		}
	}
	return len(c)
}

// pieces is Step, piece after piece.
func (c Chain) pieces(s *Stream, x *backend.Tensor) *backend.Tensor {
	last, rows := s.Last, max(1, pieceValues/x.Cols)
	out := s.grow(int(float64(x.Rows)*c.Reach().Rate) + 1)
	for at := 0; at < x.Rows; at += rows {
		end := min(at+rows, x.Rows)
		s.Last = last && end == x.Rows
		mark := s.arena.mark()
		y := s.Rows(x, at, end)
		for _, l := range c {
			z := l.Step(s, y)
			if z != y {
				s.Release(y)
			}
			y = z
		}
		out.append(s, y)
		s.arena.rewind(mark)
	}
	return out.tensor()
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
	y := s.sum(s.queue(r, 0), direct, s.queue(r, 1), branch)
	if y != branch {
		s.Release(branch)
	}
	if direct != x {
		s.Release(direct)
	}
	return y
}

// sum adds the rows that a and b hold, and those of x and z behind them, as far as both
// go; the others stay in a or b. It may give z.
func (s *Stream) sum(a *queue, x *backend.Tensor, b *queue, z *backend.Tensor) *backend.Tensor {
	steps, others := x.Rows/s.Batch, z.Rows/s.Batch
	n := min(a.held+steps, b.held+others)
	y := z
	if b.held > 0 || others > n {
		y = s.Tensor(s.Batch*n, z.Cols)
	}
	for i := range s.Batch {
		for k := 0; k < n; {
			left, rows := a.row(s, i, k, x)
			right, most := b.row(s, i, k, z)
			run := min(rows, most, n-k)
			s.Backend.Add(s.Rows(y, i*n+k, i*n+k+run), s.Rows(left, 0, run), s.Rows(right, 0, run))
			k += run
		}
	}
	a.keep(s, n, x)
	b.keep(s, n, z)
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
