package tflite

import "errors"

// compileMove compiles operators that copy values. All work along one axis of
// dense arrays: blocks of consecutive values.
func (p *Program) compileMove(op Operator) (step, error) {
	switch op.Code {
	case Reshape:
		in, out, err := p.tensors(op, 1, 1)
		if err != nil || in[0].Type != out[0].Type || in[0].Len() != out[0].Len() {
			return nil, errors.Join(err, errShape)
		}
		from, to := op.Inputs[0], op.Outputs[0]
		return func(s *Session) { copyBlock(s, to, 0, from, 0, s.Tensors[to].Len()) }, nil
	case Concatenation:
		return p.compileConcatenation(op)
	case Split:
		return p.compileSplit(op)
	default:
		return p.compileSlice(op)
	}
}

// copyBlock copies n values between tensors of the same type.
func copyBlock(s *Session, to, toAt, from, fromAt, n int) {
	if q := s.values[to].q; q != nil {
		copy(q[toAt:toAt+n], s.values[from].q[fromAt:])
		return
	}
	copy(s.values[to].f[toAt:toAt+n], s.values[from].f[fromAt:])
}

// around gives the number of values before and after an axis.
func around(shape []int, axis int) (outer, inner int) {
	outer, inner = 1, 1
	for i, d := range shape {
		if i < axis {
			outer *= d
		} else if i > axis {
			inner *= d
		}
	}
	return outer, inner
}

func (p *Program) compileConcatenation(op Operator) (step, error) {
	in, out, err := p.tensors(op, len(op.Inputs), 1)
	if err != nil {
		return nil, err
	}
	axis := op.options.int32(0)
	if axis < 0 {
		axis += len(out[0].Shape)
	}
	if axis < 0 || axis >= len(out[0].Shape) || op.options.int8(1) != 0 {
		return nil, errShape
	}
	outer, inner := around(out[0].Shape, axis)
	width := out[0].Shape[axis] * inner
	sum := 0
	for _, t := range in {
		if len(t.Shape) != len(out[0].Shape) || t.Type != out[0].Type || t.Len() != outer*inner*t.Shape[axis] || t.Type != Float32 && t.Type != Int8 {
			return nil, errShape
		}
		sum += t.Shape[axis] * inner
	}
	if sum != width {
		return nil, errShape
	}
	to := op.Outputs[0]
	return func(s *Session) {
		at := 0
		for _, from := range op.Inputs {
			n := s.Tensors[from].Shape[axis] * inner
			for o := range outer {
				copyBlock(s, to, o*width+at, from, o*n, n)
			}
			at += n
		}
	}, nil
}

func (p *Program) compileSplit(op Operator) (step, error) {
	in, out, err := p.tensors(op, 2, 1)
	if err != nil {
		return nil, err
	}
	axes, err := in[0].Ints()
	if err != nil {
		return nil, err
	}
	axis := axes[0]
	if axis < 0 {
		axis += len(in[1].Shape)
	}
	if axis < 0 || axis >= len(in[1].Shape) || in[1].Type != Float32 && in[1].Type != Int8 {
		return nil, errShape
	}
	outer, inner := around(in[1].Shape, axis)
	width := in[1].Shape[axis] * inner
	n := width / len(out)
	for _, t := range out {
		if t.Type != in[1].Type || t.Len() != outer*n || n*len(out) != width {
			return nil, errShape
		}
	}
	from := op.Inputs[1]
	return func(s *Session) {
		for i, to := range op.Outputs {
			for o := range outer {
				copyBlock(s, to, o*n, from, o*width+i*n, n)
			}
		}
	}, nil
}

// compileSlice takes a range along one axis, all of the others, with step 1.
func (p *Program) compileSlice(op Operator) (step, error) {
	in, out, err := p.tensors(op, 4, 1)
	if err != nil {
		return nil, err
	}
	begin, err1 := in[1].Ints()
	end, err2 := in[2].Ints()
	strides, err3 := in[3].Ints()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	x, y := in[0], out[0]
	if len(begin) != len(x.Shape) || len(end) != len(begin) || len(strides) != len(begin) || len(y.Shape) != len(x.Shape) ||
		x.Type != y.Type || x.Type != Float32 && x.Type != Int8 {
		return nil, errShape
	}
	for _, field := range []int{2, 3, 4} { // ellipsis, new and shrunk axes
		if op.options.int32(field) != 0 {
			return nil, errors.New("a slice that changes the axes")
		}
	}
	axis, lo := -1, 0
	for i, d := range x.Shape {
		a, b := begin[i], end[i]
		if a < 0 {
			a += d
		}
		if b < 0 {
			b += d
		}
		if op.options.int32(0)>>i&1 != 0 {
			a = 0
		}
		if op.options.int32(1)>>i&1 != 0 {
			b = d
		}
		if a < 0 || b > d || a > b || strides[i] != 1 || y.Shape[i] != b-a {
			return nil, errShape
		}
		if b-a < d {
			if axis >= 0 {
				return nil, errors.New("a slice along two axes")
			}
			axis, lo = i, a
		}
	}
	from, to := op.Inputs[0], op.Outputs[0]
	if axis < 0 {
		axis = len(x.Shape) - 1
	}
	outer, inner := around(x.Shape, axis)
	width, n := x.Shape[axis]*inner, y.Shape[axis]*inner
	return func(s *Session) {
		for o := range outer {
			copyBlock(s, to, o*n, from, o*width+lo*inner, n)
		}
	}, nil
}
