package mimi

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
	"github.com/sotto-audio/sotto/internal/nn"
)

// rotaryBase spaces the frequencies of the positions.
const rotaryBase = 10000

// attention is causal multi-head attention: a row sees itself and the context−1
// rows before it, whose keys and values a stream keeps. Positions are relative, by
// rotation of queries and keys (Su et al. 2021).
type attention struct {
	q, k, v, out *nn.Linear
	heads        int
	context      int       // rows
	frequencies  []float32 // radians a row, of each pair of a head
}

// frequencies are rotaryBase^(−i/n) for i from 0 to n, a power of two: roots and
// products alone, so that they are the same everywhere.
func frequencies(n int) []float32 {
	step := float64(rotaryBase)
	for i := n; i > 1; i /= 2 {
		step = math.Sqrt(step)
	}
	all := make([]float32, n)
	power := 1.0
	for i := range all {
		all[i] = float32(1 / power)
		power *= step
	}
	return all
}

// Params lists those of the projections.
func (a *attention) Params() []*nn.Param { return nn.Params(a.q, a.k, a.v, a.out) }

// Reach is what a row sees before it.
func (a *attention) Reach() nn.Reach { return nn.Reach{Past: float64(a.context - 1), Rate: 1} }

// Step attends to the rows of each item and those kept of earlier steps.
func (a *attention) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	if x.Rows == 0 {
		return s.Tensor(0, x.Cols)
	}
	c, left, steps := x.Cols, a.context-1, x.Rows/s.Batch
	st := s.State(a, 2*left, c)
	q, newK, newV := a.q.Step(s, x), a.k.Step(s, x), a.v.Step(s, x)
	k, v := s.Tensor(s.Batch*(left+steps), c), s.Tensor(s.Batch*(left+steps), c)
	from, to := make([]int32, x.Rows), make([]int32, x.Rows)
	half := len(a.frequencies)
	cos, sin := make([]float32, x.Rows*half), make([]float32, x.Rows*half)
	for t := range steps {
		first := t * half
		a.angles(cos[first:first+half], sin[first:first+half], st.Seen+t)
		for i := range s.Batch {
			r := i*steps + t
			copy(cos[r*half:(r+1)*half], cos[first:])
			copy(sin[r*half:(r+1)*half], sin[first:])
			at := i*(left+steps) + left + t
			from[r], to[r] = int32(at-min(left, st.Seen+t)), int32(at+1)
		}
	}
	for _, t := range []*backend.Tensor{q, newK} {
		s.Rotate(t, t, cos, sin, half, backend.Rotation{Adjacent: true})
	}
	for i := range s.Batch {
		for part, rows := range []struct{ all, fresh *backend.Tensor }{{k, newK}, {v, newV}} {
			past := s.Rows(st.History, (2*i+part)*left, (2*i+part+1)*left)
			at := i * (left + steps)
			s.Copy(s.Rows(rows.all, at, at+left), past)
			s.Copy(s.Rows(rows.all, at+left, at+left+steps), s.Rows(rows.fresh, i*steps, (i+1)*steps))
			s.Copy(past, s.Rows(rows.all, at+steps, at+steps+left))
		}
	}
	y := s.Tensor(x.Rows, c)
	s.Attention(y, q, k, v, from, to, a.heads, float32(1/math.Sqrt(float64(c/a.heads))))
	st.Seen += steps
	s.Release(q, newK, newV, k, v)
	return a.out.Step(s, y)
}

// angles gives cosine and sine of a position, of the angles as the original rounds
// them.
func (a *attention) angles(cos, sin []float32, position int) {
	for i, f := range a.frequencies {
		angle := float64(float32(position) * f)
		angle -= float64(math.Floor(angle/(2*math.Pi)) * (2 * math.Pi))
		cos[i], sin[i] = f32.Cos(float32(angle)), f32.Sin(float32(angle))
	}
}
