package nn

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Attend is multi-head attention between rows of queries, keys and values:
// [N, 3·C] → [N, C]. It is block-causal: time is cut into blocks of Stream.Chunk
// rows of the input; a row sees its own block and the Left rows before it. A
// stream keeps that many keys and values, and steps end with a block or with the
// input. It runs on host memory.
//
// Positions are relative, by rotation of queries and keys (Su et al. 2021,
// RoFormer), with frequencies that are whole numbers in Period rows: the angles
// then repeat, and a stream never has to be cut.
type Attend struct {
	Channels, Heads int
	Left            int // rows
	Stride          int // rows of the input to a row here
	Rotary          *Rotary
}

// Params is empty.
func (*Attend) Params() []*Param { return nil }

func (a *Attend) scale() float32 {
	return float32(1 / math.Sqrt(float64(a.Channels/a.Heads)))
}

// Step attends to the rows of each item and those kept of earlier steps.
func (a *Attend) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, a.Channels)
	if x.Rows == 0 {
		return y
	}
	steps := x.Rows / s.Batch
	st := s.State(a, 2*a.Left, a.Channels)
	q, k, v := a.rotated(s, x, a.Left, st.Seen)
	for i := range s.Batch {
		for part, rows := range []*backend.Tensor{k, v} {
			past := s.Rows(st.History, (2*i+part)*a.Left, (2*i+part+1)*a.Left)
			at := i * (a.Left + steps)
			s.Copy(s.Rows(rows, at, at+a.Left), past)
			s.Copy(past, s.Rows(rows, at+steps, at+steps+a.Left))
		}
	}
	from, to := a.visible(s, st, steps, a.Left, st.Seen)
	s.Backend.Attention(y, q, k, v, from, to, a.Heads, a.scale())
	st.Seen += steps
	return y
}

// rotated splits x: queries, and keys and values behind that many rows of each
// item for those before it.
func (a *Attend) rotated(s *Stream, x *backend.Tensor, before, position int) (q, k, v *backend.Tensor) {
	steps := x.Rows / s.Batch
	q = s.Tensor(x.Rows, a.Channels)
	k = s.Tensor(s.Batch*(before+steps), a.Channels)
	v = s.Tensor(s.Batch*(before+steps), a.Channels)
	c := a.Channels
	if b, ok := s.Backend.(backend.Rotator); ok {
		cos, sin := a.Rotary.angles(position, steps)
		for i := range s.Batch {
			in, at := s.Rows(x, i*steps, (i+1)*steps), i*(before+steps)+before
			b.Rotate(s.Rows(q, i*steps, (i+1)*steps), s.Columns(in, c), cos, sin, a.Rotary.half, false)
			b.Rotate(s.Rows(k, at, at+steps), s.Part(in, c, c), cos, sin, a.Rotary.half, false)
			s.Copy(s.Rows(v, at, at+steps), s.Part(in, 2*c, c))
		}
		return q, k, v
	}
	s.Wait()
	s.Each(x.Rows, 1, float64(2*c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row, to := x.Row(r), r+(r/steps+1)*before
			a.Rotary.turn(q.Row(r), row[:c], a.Heads, position+r%steps, false)
			a.Rotary.turn(k.Row(to), row[c:2*c], a.Heads, position+r%steps, false)
			copy(v.Row(to), row[2*c:])
		}
	})
	return q, k, v
}

// visible gives the keys that the rows see.
func (a *Attend) visible(s *Stream, st *State, steps, before, position int) (from, to []int32) {
	from, to = st.from[:0], st.to[:0]
	chunk := max(s.Chunk/a.Stride, 1)
	if s.Chunk == 0 {
		chunk = position + steps
	}
	for i := range s.Batch {
		// Row t of the input is row base + t of the keys.
		base := i*(before+steps) + before - position
		end := position + steps
		if s.Lengths != nil {
			end = min(end, (s.Lengths[i]+a.Stride-1)/a.Stride)
		}
		for t := position; t < position+steps; t++ {
			start := t / chunk * chunk
			lo, hi := max(start-a.Left, 0), min(start+chunk, end)
			from, to = append(from, int32(base+lo)), append(to, int32(base+max(lo, hi)))
		}
	}
	st.from, st.to = from, to
	return from, to
}

// Backward is the gradient of attention among the rows of each item.
func (a *Attend) Backward(s *Stream, x, y, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	steps, c := x.Rows/s.Batch, a.Channels
	q, k, v := a.rotated(s, x, 0, 0)
	from, to := a.visible(s, &State{}, steps, 0, 0)
	dq, dk, dv := s.Tensor(x.Rows, c), s.Tensor(x.Rows, c), s.Tensor(x.Rows, c)
	s.Wait()
	clear(dk.Data)
	clear(dv.Data)
	s.AttentionGrad(dq, dk, dv, q, k, v, y, dy, from, to, a.Heads, a.scale())
	dx := s.Tensor(x.Rows, 3*c)
	s.Wait()
	s.Each(x.Rows, 1, float64(2*c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := dx.Row(r)
			a.Rotary.turn(row[:c], dq.Row(r), a.Heads, r%steps, true)
			a.Rotary.turn(row[c:2*c], dk.Row(r), a.Heads, r%steps, true)
			copy(row[2*c:], dv.Row(r))
		}
	})
	return dx
}
