package tflite

import (
	"errors"
	"fmt"
	"slices"
)

// Code is an operator's number in schema.fbs.
type Code int

// The operators that run.
const (
	Add             Code = 0
	Concatenation   Code = 2
	Conv2D          Code = 3
	DepthwiseConv2D Code = 4
	Dequantize      Code = 6
	Gather          Code = 36 // for readers of the graph; it does not run
	Reshape         Code = 22
	Sub             Code = 41
	StridedSlice    Code = 45
	Split           Code = 49
	TransposeConv   Code = 67
	LeakyReLU       Code = 98
	Quantize        Code = 114
	CallOnce        Code = 129
	VarHandle       Code = 142
	ReadVariable    Code = 143
	AssignVariable  Code = 144
)

// Program is a graph made ready to run. Sessions share it.
type Program struct {
	*Graph
	model     *Model
	constants []value
	steps     []step
	resets    []step
	variables []variable
	handles   map[int]int // the variable of a resource tensor
}

type step func(s *Session)

// variable is state that a graph keeps between runs.
type variable struct {
	name  string
	kind  Type
	count int
}

// value is the memory of a tensor.
type value struct {
	f []float32
	q []int8
}

// Session is one stream through a program. It is not safe for concurrent use.
type Session struct {
	*Program
	values []value
	state  []value
	ints   []int32 // sums of an operator while it runs
}

// Compile makes a graph ready. The operators must be of the kinds above, over
// signals of shape [1, time, 1, channels].
func Compile(m *Model, graph int) (*Program, error) {
	if graph < 0 || graph >= len(m.Graphs) {
		return nil, fmt.Errorf("tflite: the model has no graph %d", graph)
	}
	p := &Program{Graph: m.Graphs[graph], model: m, handles: map[int]int{}}
	p.constants = make([]value, len(p.Tensors))
	total := 0
	for i, t := range p.Tensors {
		if total += t.Len(); total > maxValues {
			return nil, errors.New("tflite: the graph is larger than those that this package is for")
		}
		if err := p.constant(i, t); err != nil {
			return nil, err
		}
	}
	for i, op := range p.Operators {
		run, err := p.compile(op)
		if err != nil {
			return nil, fmt.Errorf("tflite: operator %d (code %d): %w", i, op.Code, err)
		}
		if run != nil {
			p.steps = append(p.steps, run)
		}
	}
	return p, nil
}

func (p *Program) constant(i int, t *Tensor) error {
	if len(t.Data) == 0 {
		return nil
	}
	switch t.Type {
	case Float32:
		f, err := t.Floats()
		p.constants[i].f = f
		return err
	case Int8:
		q := make([]int8, len(t.Data))
		for k, b := range t.Data {
			q[k] = int8(b)
		}
		p.constants[i].q = q
	}
	return nil
}

// New makes a session in its first state.
func (p *Program) New() *Session {
	s := &Session{Program: p, values: make([]value, len(p.Tensors)), state: make([]value, len(p.variables))}
	for i, t := range p.Tensors {
		switch {
		case len(t.Data) > 0:
			s.values[i] = p.constants[i]
		case t.Type == Float32:
			s.values[i].f = make([]float32, t.Len())
		case t.Type == Int8:
			s.values[i].q = make([]int8, t.Len())
		}
	}
	for i, v := range p.variables {
		if v.kind == Float32 {
			s.state[i].f = make([]float32, v.count)
		} else {
			s.state[i].q = make([]int8, v.count)
		}
	}
	s.Reset()
	return s
}

// Reset puts the state back to the first one.
func (s *Session) Reset() {
	for i := range s.state {
		clear(s.state[i].f)
		clear(s.state[i].q)
	}
	for _, run := range s.resets {
		run(s)
	}
}

// Run works out the outputs for the values that the inputs hold.
func (s *Session) Run() {
	for _, run := range s.steps {
		run(s)
	}
}

// Floats is the memory of a tensor of float32.
func (s *Session) Floats(tensor int) []float32 { return s.values[tensor].f }

func (s *Session) sums(n int) []int32 {
	if len(s.ints) < n {
		s.ints = make([]int32, n)
	}
	return s.ints[:n]
}

var errShape = errors.New("its shapes do not fit each other")

// tensors checks the number of inputs and outputs and gives them; a tensor that
// the operator leaves out is nil.
func (p *Program) tensors(op Operator, inputs, outputs int) (in, out []*Tensor, err error) {
	if len(op.Inputs) < inputs || len(op.Outputs) < outputs {
		return nil, nil, fmt.Errorf("%d inputs and %d outputs", len(op.Inputs), len(op.Outputs))
	}
	for _, k := range op.Inputs {
		if k < 0 {
			in = append(in, nil)
			continue
		}
		in = append(in, p.Tensors[k])
	}
	for i, k := range op.Outputs {
		if k < 0 || len(p.Tensors[k].Data) > 0 {
			return nil, nil, errors.New("an output is missing or constant")
		}
		out = append(out, p.Tensors[k])
		if slices.Contains(op.Outputs[:i], k) {
			return nil, nil, errors.New("an output appears twice")
		}
	}
	if slices.Contains(in[:inputs], nil) {
		return nil, nil, errors.New("an input is missing")
	}
	return in, out, nil
}

func (p *Program) compile(op Operator) (step, error) {
	switch op.Code {
	case VarHandle, CallOnce, ReadVariable, AssignVariable:
		return p.compileState(op)
	case Reshape, Concatenation, StridedSlice, Split:
		return p.compileMove(op)
	case Add, Sub, LeakyReLU, Quantize, Dequantize:
		return p.compilePointwise(op)
	case Conv2D, DepthwiseConv2D, TransposeConv:
		return p.compileConv(op)
	}
	return nil, errors.New("this operator is not supported")
}

func (p *Program) compileState(op Operator) (step, error) {
	switch op.Code {
	case CallOnce:
		g := op.options.int32(0)
		if g < 0 || g >= len(p.model.Graphs) || p.model.Graphs[g] == p.Graph {
			return nil, fmt.Errorf("graph %d", g)
		}
		return nil, p.initial(p.model.Graphs[g])
	case VarHandle:
		if len(op.Outputs) != 1 || op.Outputs[0] < 0 {
			return nil, errShape
		}
		name := string(op.options.raw(1))
		at := slices.IndexFunc(p.variables, func(v variable) bool { return v.name == name })
		if at < 0 {
			at = len(p.variables)
			p.variables = append(p.variables, variable{name: name})
		}
		p.handles[op.Outputs[0]] = at
		return nil, nil
	case ReadVariable:
		_, out, err := p.tensors(op, 1, 1)
		if err != nil {
			return nil, err
		}
		at, err := p.variable(op.Inputs[0], out[0])
		if err != nil {
			return nil, err
		}
		to := op.Outputs[0]
		return func(s *Session) {
			copy(s.values[to].f, s.state[at].f)
			copy(s.values[to].q, s.state[at].q)
		}, nil
	default:
		in, _, err := p.tensors(op, 2, 0)
		if err != nil {
			return nil, err
		}
		at, err := p.variable(op.Inputs[0], in[1])
		if err != nil {
			return nil, err
		}
		from := op.Inputs[1]
		return func(s *Session) {
			copy(s.state[at].f, s.values[from].f)
			copy(s.state[at].q, s.values[from].q)
		}, nil
	}
}

// variable gives the state behind a handle, whose shape t has.
func (p *Program) variable(handle int, t *Tensor) (int, error) {
	at, ok := p.handles[handle]
	if !ok || t.Type != Float32 && t.Type != Int8 {
		return 0, errors.New("the variable is not known")
	}
	v := &p.variables[at]
	if v.count == 0 {
		v.kind, v.count = t.Type, t.Len()
	}
	if v.kind != t.Type || v.count != t.Len() {
		return 0, errShape
	}
	return at, nil
}

// initial reads the values that variables begin with from the graph that sets
// them.
func (p *Program) initial(g *Graph) error {
	names := map[int]string{}
	for _, op := range g.Operators {
		switch {
		case op.Code == VarHandle && len(op.Outputs) == 1:
			names[op.Outputs[0]] = string(op.options.raw(1))
		case op.Code == AssignVariable && len(op.Inputs) == 2 && op.Inputs[1] >= 0:
			name, ok := names[op.Inputs[0]]
			f, err := g.Tensors[op.Inputs[1]].Floats()
			if !ok || err != nil {
				return errors.New("a first value is no constant of float32")
			}
			p.resets = append(p.resets, func(s *Session) {
				for i, v := range s.variables {
					if v.name == name {
						copy(s.state[i].f, f)
					}
				}
			})
		default:
			return fmt.Errorf("operator %d among the first values", op.Code)
		}
	}
	return nil
}
