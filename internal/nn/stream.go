package nn

import "github.com/sotto-audio/sotto/internal/backend"

// Stream is one run of a model over a batch of signals that advance together:
// the device, the states of the layers and scratch memory. It is not safe for
// concurrent use.
type Stream struct {
	backend.Backend
	Batch int

	states map[Layer]*State
	order  []*State
	arena  arena
}

// State is what one layer remembers of one stream: its last rows, for each
// item of the batch, zero at the start.
type State struct {
	History *backend.Tensor // [Batch·rows, C]
}

// NewStream makes a stream for a batch of signals.
func NewStream(b backend.Backend, batch int) *Stream {
	return &Stream{Backend: b, Batch: batch, states: map[Layer]*State{}}
}

// Begin starts a step: tensors given by Tensor and Rows before it are recycled.
func (s *Stream) Begin() { s.arena.reset() }

// Tensor gives an uninitialised dense scratch tensor that lives until the next
// Begin.
func (s *Stream) Tensor(rows, cols int) *backend.Tensor {
	return s.arena.get(s.Backend, rows, cols)
}

// Rows is the view of rows [from, to) of t; it lives until the next Begin.
func (s *Stream) Rows(t *backend.Tensor, from, to int) *backend.Tensor {
	return s.arena.view(t.Slice(from, to))
}

// Columns is the view of the first n columns of t; it lives until the next Begin.
func (s *Stream) Columns(t *backend.Tensor, n int) *backend.Tensor {
	v := s.arena.view(t)
	v.Cols = n
	return v
}

// many is the number of rows from which work on host memory is shared out.
const many = 32

// each calls f for parts of n rows, side by side where the device has threads;
// unit is the granularity, cost that of a row in nanoseconds.
func (s *Stream) each(n, unit int, cost float64, f func(lo, hi int)) {
	if b, ok := s.Backend.(interface {
		Each(n, unit int, cost float64, f func(lo, hi int))
	}); ok {
		b.Each(n, unit, cost, f)
		return
	}
	f(0, n)
}

// State gives the layer's state of `rows` past rows of `cols` channels.
func (s *Stream) State(l Layer, rows, cols int) *State {
	st := s.states[l]
	if st == nil {
		st = &State{History: s.Backend.New(s.Batch*rows, cols)}
		s.states[l] = st
		s.order = append(s.order, st)
	}
	return st
}

// Reset clears every state, as if nothing had been seen.
func (s *Stream) Reset() {
	for _, st := range s.order {
		s.Upload(st.History, make([]float32, st.History.Rows*st.History.Cols))
	}
}

// Apply runs a layer; with Add it makes Stream a Runner of tensors.
func (s *Stream) Apply(l Layer, x *backend.Tensor) *backend.Tensor { return l.Step(s, x) }

// Add gives a + b.
func (s *Stream) Add(a, b *backend.Tensor) *backend.Tensor {
	y := s.Tensor(a.Rows, a.Cols)
	s.Backend.Add(y, a, b)
	return y
}

// arena recycles the tensors of a step: the i-th request of a step gets the
// storage of the i-th request of the step before, grown when needed.
type arena struct {
	slots []*slot
	next  int
	views []*backend.Tensor
	seen  int // views of this step
}

type slot struct {
	whole *backend.Tensor // [1, capacity]
	view  backend.Tensor
}

func (a *arena) reset() { a.next, a.seen = 0, 0 }

// view keeps a copy of t, which then need not escape.
func (a *arena) view(t *backend.Tensor) *backend.Tensor {
	if a.seen == len(a.views) {
		a.views = append(a.views, new(backend.Tensor))
	}
	v := a.views[a.seen]
	a.seen++
	*v = *t
	return v
}

func (a *arena) get(b backend.Backend, rows, cols int) *backend.Tensor {
	if a.next == len(a.slots) {
		a.slots = append(a.slots, &slot{})
	}
	sl := a.slots[a.next]
	a.next++
	if n := rows * cols; sl.whole == nil || sl.whole.Cols < n {
		sl.whole = b.New(1, n)
	}
	sl.view = backend.Tensor{Rows: rows, Cols: cols, Stride: cols, Device: sl.whole.Device}
	if sl.whole.Data != nil {
		sl.view.Data = sl.whole.Data[:rows*cols]
	}
	return &sl.view
}
