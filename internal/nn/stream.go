package nn

import (
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Stream is one run of a model over a batch of signals that advance together:
// the device, the states of the layers and scratch memory. It is not safe for
// concurrent use.
type Stream struct {
	backend.Backend
	Batch int
	// Last says that no rows follow those of the next step: layers then give what
	// they held back. Reset comes before more steps.
	Last bool
	// Chunk is the number of rows that attention takes as one block, 0 for all;
	// a step of fewer ends the input. Lengths holds the rows of each item of a
	// batch that are not filling, nil for all. Both count rows of the input.
	Chunk   int
	Lengths []int

	// Slots, where above 0, is the number of signals that states are kept of. A step is
	// then of Batch of them, which Items names. STFT and DepthwiseConv know of it.
	Slots int
	Items []int

	states map[Layer]*State
	order  []*State
	queues map[queueKey]*queue
	arena  arena
}

// State is what one layer remembers of one stream: rows for each item of the
// batch, zero at the start. Layers that give fewer rows than they take keep
// count.
type State struct {
	History *backend.Tensor // [Batch·rows, C]
	// Held is the number of rows in use, Seen and Given those that came in and went
	// out since the start, of each item.
	Held, Seen, Given int

	stale    bool    // History is to be cleared before it is looked at
	from, to []int32 // scratch of Attend
	pieces   []piece // scratch of a window
}

// NewStream makes a stream for a batch of signals.
func NewStream(b backend.Backend, batch int) *Stream {
	return &Stream{Backend: b, Batch: batch, states: map[Layer]*State{}, queues: map[queueKey]*queue{}}
}

// Begin starts a step: tensors given by Tensor and Rows before it are recycled.
func (s *Stream) Begin() { s.arena.reset() }

// Tensor gives an uninitialised dense scratch tensor that lives until the next
// Begin.
func (s *Stream) Tensor(rows, cols int) *backend.Tensor {
	return s.arena.get(s.Backend, rows, cols)
}

// Release gives back tensors that Tensor gave in this step, and that nothing
// looks at any more, so that later ones of the step take their memory.
func (s *Stream) Release(tensors ...*backend.Tensor) {
	for _, t := range tensors {
		s.arena.release(t)
	}
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

// Wait is for layers that work on the memory of the host: it comes before they look
// at tensors, and before they write to them.
func (s *Stream) Wait() { backend.Wait(s.Backend) }

// Clear sets values to zero, behind the operations before.
func (s *Stream) Clear(v []float32) { backend.Clear(s.Backend, v) }

// Rotate turns pairs of values: backend.Rotator, on any device.
func (s *Stream) Rotate(y, x *backend.Tensor, cos, sin []float32, half int, way backend.Rotation) {
	if b, ok := s.Backend.(backend.Rotator); ok {
		b.Rotate(y, x, cos, sin, half, way)
		return
	}
	s.Each(x.Rows, 1, float64(x.Cols), func(lo, hi int) {
		for t := lo; t < hi; t++ {
			rotate(y.Row(t), x.Row(t), cos[t*half:(t+1)*half], sin[t*half:(t+1)*half], way)
		}
	})
}

// rotate is that of a row.
func rotate(y, x, cos, sin []float32, way backend.Rotation) {
	half := len(cos)
	step, other := 1, half // from a pair to the next, and between its values
	if way.Adjacent {
		step, other = 2, 1
	}
	for head := 0; head < len(x); head += 2 * half {
		a, b := x[head:head+2*half], y[head:head+2*half]
		for i, c := range cos {
			s := sin[i]
			if way.Back {
				s = -s
			}
			p, q := a[i*step], a[i*step+other]
			b[i*step] = float32(p*c) - float32(q*s)
			b[i*step+other] = float32(q*c) + float32(p*s)
		}
	}
}

// Complex makes complex numbers of their polar form: backend.Polar, on any device.
func (s *Stream) Complex(y, x *backend.Tensor, most float32) {
	b, ok := s.Backend.(backend.Polar)
	if !ok {
		b = backend.OnHost(s.Backend).(backend.Polar)
	}
	b.Complex(y, x, most)
}

// many is the number of rows from which work on host memory is shared out.
const many = 32

// Each calls f for parts of n rows of host memory, side by side where the device has
// threads; unit is the granularity, cost that of a row in nanoseconds.
func (s *Stream) Each(n, unit int, cost float64, f func(lo, hi int)) {
	if b, ok := s.Backend.(interface {
		Each(n, unit int, cost float64, f func(lo, hi int))
	}); ok {
		b.Each(n, unit, cost, f)
		return
	}
	f(0, n)
}

// sharer gives the device and into how many parts of at most so many rows it cuts the n
// rows of a step, 0 where operations are better called one by one.
func (s *Stream) sharer(n, rows int) (d backend.Sharer, parts int) {
	d, ok := s.Backend.(backend.Sharer)
	if !ok || n < many || s.Batch > 1 {
		return nil, 0
	}
	return d, d.Parts(n, max(rows, 1))
}

// State gives the layer's state of `rows` past rows of `cols` channels.
func (s *Stream) State(l Layer, rows, cols int) *State {
	st := s.states[l]
	if st == nil {
		st = &State{History: s.Backend.New(s.kept()*rows, cols)}
		s.states[l] = st
		s.order = append(s.order, st)
	}
	if st.History.Rows != s.kept()*rows { // another batch
		st.History, st.stale = s.Backend.New(s.kept()*rows, cols), false
	}
	if st.stale {
		s.Clear(st.History.Data)
		st.stale = false
	}
	return st
}

// kept is the number of signals that states are of.
func (s *Stream) kept() int {
	if s.Slots > 0 {
		return s.Slots
	}
	return s.Batch
}

// item gives the signal that item i of a step is, among those that states are of.
func (s *Stream) item(i int) int {
	if s.Slots > 0 {
		return s.Items[i]
	}
	return i
}

// ResetItem makes the states of one signal of Slots as if it had not been seen.
func (s *Stream) ResetItem(item int) {
	for _, st := range s.order {
		n := len(st.History.Data) / s.Slots
		s.Clear(st.History.Data[item*n : (item+1)*n])
	}
}

// Reset makes every state as if nothing had been seen. It leaves the device alone, and
// so cannot fail: layers find their states cleared.
func (s *Stream) Reset() {
	s.Last = false
	for _, st := range s.order {
		st.Held, st.Seen, st.Given, st.stale = 0, 0, 0, true
	}
	for _, q := range s.queues {
		q.held = 0
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
	free  []*slot // released in this step
	views []*backend.Tensor
	seen  int // views of this step
}

type slot struct {
	whole *backend.Tensor // [1, capacity]
	view  backend.Tensor
}

func (a *arena) reset() { a.next, a.seen, a.free = 0, 0, a.free[:0] }

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
	sl := a.reuse(rows * cols)
	if sl == nil {
		sl = a.take()
		if n := rows * cols; sl.whole == nil || sl.whole.Cols < n {
			sl.whole = b.New(1, n)
		}
	}
	sl.view = backend.Tensor{Rows: rows, Cols: cols, Stride: cols, Device: sl.whole.Device}
	if sl.whole.Data != nil {
		sl.view.Data = sl.whole.Data[:rows*cols]
	}
	return &sl.view
}

// mark is a moment of a step that rewind goes back to.
type mark struct {
	next, seen int
	free       []*slot
}

func (a *arena) mark() mark { return mark{a.next, a.seen, slices.Clone(a.free)} }

// rewind gives back all tensors since a mark.
func (a *arena) rewind(m mark) {
	a.next, a.seen, a.free = m.next, m.seen, append(a.free[:0], m.free...)
}

// growing is a tensor that rows are appended to.
type growing struct {
	slot       *slot
	rows, cols int
	expected   int // rows
}

// grow begins a tensor of about that many rows, in scratch memory.
func (s *Stream) grow(rows int) *growing {
	sl := s.arena.take()
	if sl.whole == nil {
		sl.whole = s.New(1, 1)
	}
	return &growing{slot: sl, expected: rows}
}

// append copies rows to the end.
func (g *growing) append(s *Stream, y *backend.Tensor) {
	g.cols = y.Cols
	need := g.rows + y.Rows
	if w := g.slot.whole; w.Cols < need*y.Cols {
		g.slot.whole = s.New(1, max(need, g.expected)*y.Cols)
		if g.rows > 0 {
			s.Copy(&backend.Tensor{Rows: 1, Cols: g.rows * y.Cols, Stride: g.rows * y.Cols, Data: g.slot.whole.Data, Device: g.slot.whole.Device},
				&backend.Tensor{Rows: 1, Cols: g.rows * y.Cols, Stride: g.rows * y.Cols, Data: w.Data, Device: w.Device})
		}
	}
	before := g.rows
	g.rows = need
	if y.Rows > 0 {
		s.Copy(s.Rows(g.tensor(), before, need), y)
	}
}

// tensor is what was appended so far.
func (g *growing) tensor() *backend.Tensor {
	g.slot.view = backend.Tensor{Rows: g.rows, Cols: g.cols, Stride: g.cols, Device: g.slot.whole.Device}
	if g.slot.whole.Data != nil {
		g.slot.view.Data = g.slot.whole.Data[:g.rows*g.cols]
	}
	return &g.slot.view
}

// take gives the next slot.
func (a *arena) take() *slot {
	if a.next == len(a.slots) {
		a.slots = append(a.slots, &slot{})
	}
	a.next++
	return a.slots[a.next-1]
}

// release marks the slot of a tensor as free. A tensor that is no slot's, as that
// of a caller, is left alone.
func (a *arena) release(t *backend.Tensor) {
	for _, sl := range a.slots[:a.next] {
		if &sl.view == t && !slices.Contains(a.free, sl) {
			a.free = append(a.free, sl)
			return
		}
	}
}

// reuse gives the smallest free slot of n values, nil where there is none.
func (a *arena) reuse(n int) *slot {
	best := -1
	for i, sl := range a.free {
		if sl.whole.Cols >= n && sl.whole.Cols <= 16*n+1<<14 && (best < 0 || sl.whole.Cols < a.free[best].whole.Cols) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	sl := a.free[best]
	a.free = slices.Delete(a.free, best, best+1)
	return sl
}

// Part is the view of n columns of t from column from on; it lives until the next
// Begin.
func (s *Stream) Part(t *backend.Tensor, from, n int) *backend.Tensor {
	v := s.arena.view(t)
	v.Cols = n
	if v.Data != nil {
		v.Data = v.Data[min(from, len(v.Data)):]
	}
	return v
}

// every is the view of every d-th row of t from row from on; it lives until the
// next Begin.
func (s *Stream) every(t *backend.Tensor, from, d int) *backend.Tensor {
	v := s.arena.view(t)
	v.Rows = (t.Rows - from + d - 1) / d
	v.Stride = d * t.Stride
	if v.Data != nil {
		v.Data = v.Data[from*t.Stride:]
	}
	return v
}

// shape is the memory of t under another shape; it lives until the next Begin.
func (s *Stream) shape(t *backend.Tensor, rows, cols, stride int) *backend.Tensor {
	v := s.arena.view(t)
	v.Rows, v.Cols, v.Stride = rows, cols, stride
	return v
}

// queue holds rows of each item of a batch until they are wanted.
type queue struct {
	rows *backend.Tensor // [Batch·cap, C]
	cap  int
	held int
}

// push adds rows at the end.
func (q *queue) push(s *Stream, x *backend.Tensor) {
	steps := x.Rows / s.Batch
	if steps == 0 {
		return
	}
	q.reserve(s, steps, x.Cols)
	for i := range s.Batch {
		at := i*q.cap + q.held
		s.Copy(s.Rows(q.rows, at, at+steps), s.Rows(x, i*steps, (i+1)*steps))
	}
	q.held += steps
}

// reserve makes room for so many rows more.
func (q *queue) reserve(s *Stream, steps, cols int) {
	need := q.held + steps
	if need <= q.cap {
		return
	}
	grown := queue{rows: s.New(s.Batch*(need+need/2), cols), cap: need + need/2, held: q.held}
	for i := range s.Batch {
		if q.held > 0 {
			s.Copy(s.Rows(grown.rows, i*grown.cap, i*grown.cap+q.held), s.Rows(q.rows, i*q.cap, i*q.cap+q.held))
		}
	}
	*q = grown
}

// pop takes the first n rows of each item.
func (q *queue) pop(s *Stream, n, cols int) *backend.Tensor {
	y := s.Tensor(s.Batch*n, cols)
	if n == 0 {
		return y
	}
	rest := q.held - n
	moved := s.Tensor(rest, cols)
	for i := range s.Batch {
		at := i * q.cap
		s.Copy(s.Rows(y, i*n, (i+1)*n), s.Rows(q.rows, at, at+n))
		if rest > 0 {
			s.Copy(moved, s.Rows(q.rows, at+n, at+q.held))
			s.Copy(s.Rows(q.rows, at, at+rest), moved)
		}
	}
	s.Release(moved)
	q.held = rest
	return y
}

// row is the rows of item i from row k on of those that the queue holds and x behind
// them, as many of them as lie together.
func (q *queue) row(s *Stream, i, k int, x *backend.Tensor) (*backend.Tensor, int) {
	if k < q.held {
		return s.Rows(q.rows, i*q.cap+k, i*q.cap+q.held), q.held - k
	}
	steps := x.Rows / s.Batch
	return s.Rows(x, i*steps+k-q.held, (i+1)*steps), steps - (k - q.held)
}

// keep adds x and drops the first n rows of each item.
func (q *queue) keep(s *Stream, n int, x *backend.Tensor) {
	if n < q.held {
		s.Release(q.pop(s, n, x.Cols))
		q.push(s, x)
		return
	}
	skip, steps := n-q.held, x.Rows/s.Batch
	q.held = 0
	if skip == 0 {
		q.push(s, x)
		return
	}
	for i := range s.Batch {
		if skip < steps {
			q.reserve(s, steps-skip, x.Cols)
			s.Copy(s.Rows(q.rows, i*q.cap, i*q.cap+steps-skip), s.Rows(x, i*steps+skip, (i+1)*steps))
		}
	}
	q.held = steps - skip
}

// queue gives a queue of the layer, empty at the start.
func (s *Stream) queue(l Layer, which int) *queue {
	key := queueKey{l, which}
	q := s.queues[key]
	if q == nil {
		q = &queue{}
		s.queues[key] = q
	}
	return q
}

type queueKey struct {
	layer Layer
	which int
}

// collect keeps rows until the last step, which gives all of them.
func (s *Stream) collect(l Layer, x *backend.Tensor) *backend.Tensor {
	q := s.queue(l, 0)
	if s.Last && q.held == 0 {
		return x
	}
	q.push(s, x)
	if !s.Last {
		return s.Tensor(0, x.Cols)
	}
	if s.Batch == 1 { // where they lie, which nothing changes before the next signal
		n := q.held
		q.held = 0
		return s.Rows(q.rows, 0, n)
	}
	return q.pop(s, q.held, x.Cols)
}
