package nn

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
)

// LSTM is one layer of long short-term memory (Hochreiter & Schmidhuber 1997) with
// zero states at the start: gates = x·Input + b + h·Hidden in the order i, f, g, o
// of PyTorch, then Backend.LSTMCell.
type LSTM struct {
	In, Size int
	Input    *Linear // [In, 4·Size], the sum of both biases
	Hidden   *Linear // [Size, 4·Size], without bias
	// Backward runs from the end of the signal to its start, and so gives all rows
	// there.
	Backward bool
}

// NewLSTM makes a layer of zeros, called name.input… and name.hidden….
func NewLSTM(name string, in, size int) *LSTM {
	l := &LSTM{In: in, Size: size, Input: NewLinear(name+".input", in, 4*size), Hidden: NewLinear(name+".hidden", size, 4*size)}
	l.Hidden.Bias = nil
	return l
}

// NewLSTMStack makes layers one after the other, called name.0… and so on; where
// both is set each is two that run in both directions, name.0.forward… and
// name.0.backward…, whose outputs stand side by side.
func NewLSTMStack(name string, in, size, layers int, both bool) Chain {
	var c Chain
	for i := range layers {
		part := fmt.Sprintf("%s.%d", name, i)
		if !both {
			c = append(c, NewLSTM(part, in, size))
			in = size
			continue
		}
		b := &BiLSTM{NewLSTM(part+".forward", in, size), NewLSTM(part+".backward", in, size)}
		b.Back.Backward = true
		c = append(c, b)
		in = 2 * size
	}
	return c
}

// Params lists those of both products.
func (l *LSTM) Params() []*Param { return Params(l.Input, l.Hidden) }

// Reach is the past, or the whole signal.
func (l *LSTM) Reach() Reach {
	r := Everything()
	if !l.Backward {
		r.Ahead = 0
	}
	return r
}

// Step runs the layer over the rows of each item.
func (l *LSTM) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	if l.Backward {
		x = s.collect(l, x)
	}
	y := s.Tensor(x.Rows, l.Size)
	if x.Rows == 0 {
		return y
	}
	gates := l.Input.Step(s, x)
	// The outputs of the step before and the cells, an item a row.
	state := s.State(l, 2, l.Size).History
	h, c := s.Rows(state, 0, s.Batch), s.Rows(state, s.Batch, 2*s.Batch)
	steps := x.Rows / s.Batch
	hidden := l.Hidden.weights(s.Backend)
	sum := s.Tensor(s.Batch, 4*l.Size)
	for i := range steps {
		t := i
		if l.Backward {
			t = steps - 1 - i
		}
		// Row t of every item.
		s.MatMul(sum, h, hidden, backend.Epilogue{Residual: s.every(s.Rows(gates, t, x.Rows), 0, steps)})
		s.LSTMCell(h, c, sum)
		s.Copy(s.every(s.Rows(y, t, x.Rows), 0, steps), h)
	}
	s.Release(gates, sum)
	return y
}

// BiLSTM is an LSTM in both directions: their outputs stand side by side, forward
// first.
type BiLSTM struct{ Forward, Back *LSTM }

// Params lists those of both directions.
func (l *BiLSTM) Params() []*Param { return Params(l.Forward, l.Back) }

// Reach is the whole signal.
func (l *BiLSTM) Reach() Reach { return Everything() }

// Step gives all rows at the signal's end.
func (l *BiLSTM) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	x = s.collect(l, x)
	y := s.Tensor(x.Rows, l.Forward.Size+l.Back.Size)
	if x.Rows == 0 {
		return y
	}
	f, b := l.Forward.Step(s, x), l.Back.Step(s, x)
	s.Copy(s.Part(y, 0, f.Cols), f)
	s.Copy(s.Part(y, f.Cols, b.Cols), b)
	s.Release(f, b)
	return y
}
