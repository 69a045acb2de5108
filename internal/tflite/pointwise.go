package tflite

import (
	"errors"
	"math"
)

// scale gives the only scale and zero point of an int8 tensor.
func (t *Tensor) scale() (float64, int32, error) {
	if t.Type != Int8 || len(t.Scale) != 1 || t.Scale[0] <= 0 {
		return 0, 0, errors.New("an int8 tensor needs one scale")
	}
	return float64(t.Scale[0]), int32(t.Zero[0]), nil
}

func (p *Program) compilePointwise(op Operator) (step, error) {
	in, out, err := p.tensors(op, 1, 1)
	if err != nil {
		return nil, err
	}
	x, y := in[0], out[0]
	from, to := op.Inputs[0], op.Outputs[0]
	if x.Len() != y.Len() {
		return nil, errShape
	}
	switch {
	case op.Code == Quantize && x.Type == Float32:
		scale, zero, err := y.scale()
		if err != nil {
			return nil, err
		}
		return func(s *Session) {
			q := s.values[to].q
			for i, v := range s.values[from].f {
				r := math.Round(float64(v / float32(scale)))
				q[i] = int8(min(max(r+float64(zero), math.MinInt8), math.MaxInt8))
			}
		}, nil
	case op.Code == Dequantize && y.Type == Float32:
		scale, zero, err := x.scale()
		if err != nil {
			return nil, err
		}
		return func(s *Session) {
			f := s.values[to].f
			for i, v := range s.values[from].q {
				f[i] = float32(scale * float64(int32(v)-zero))
			}
		}, nil
	case op.Code == LeakyReLU && x.Type == Float32 && y.Type == Float32:
		alpha := op.options.float(0)
		return func(s *Session) {
			f := s.values[to].f
			for i, v := range s.values[from].f {
				if v < 0 {
					v *= alpha
				}
				f[i] = v
			}
		}, nil
	case op.Code == LeakyReLU && x.Type == Int8:
		return leakyInt8(x, y, from, to, op.options.float(0))
	case op.Code == Add || op.Code == Sub:
		return p.compileSum(op)
	}
	return nil, errors.New("these types are not supported")
}

func leakyInt8(x, y *Tensor, from, to int, alpha float32) (step, error) {
	sx, zx, err1 := x.scale()
	sy, zy, err2 := y.scale()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	same, slope := newMultiplier(sx/sy), newMultiplier(sx*float64(alpha)/sy)
	var table [256]int8
	for i := range table {
		v := int32(i-128) - zx
		m := same
		if v < 0 {
			m = slope
		}
		table[i] = clampInt8(zy + m.times(v))
	}
	return func(s *Session) {
		q := s.values[to].q
		for i, v := range s.values[from].q {
			q[i] = table[int(v)+128]
		}
	}, nil
}

// compileSum adds or subtracts; in float32 the second operand may be one row of
// channels.
func (p *Program) compileSum(op Operator) (step, error) {
	in, out, err := p.tensors(op, 2, 1)
	if err != nil {
		return nil, err
	}
	a, b, y := in[0], in[1], out[0]
	from, with, to := op.Inputs[0], op.Inputs[1], op.Outputs[0]
	if op.options.int8(0) != 0 {
		return nil, errors.New("a fused activation")
	}
	n := b.Len()
	switch {
	case a.Type == Float32 && b.Type == Float32 && y.Type == Float32:
		if n == 0 || y.Len()%n != 0 || n != y.Len() && n != b.Shape[len(b.Shape)-1] {
			return nil, errShape
		}
		sign := float32(1)
		if op.Code == Sub {
			sign = -1
		}
		return func(s *Session) {
			x, z, f := s.values[from].f, s.values[with].f, s.values[to].f
			for i := 0; i < len(f); i += n {
				for k, v := range z {
					f[i+k] = x[i+k] + sign*v
				}
			}
		}, nil
	case a.Type == Int8 && b.Type == Int8 && y.Type == Int8 && op.Code == Add && n == y.Len():
		sa, za, err1 := a.scale()
		sb, zb, err2 := b.scale()
		sy, zy, err3 := y.scale()
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		const shift = 20
		twice := 2 * max(sa, sb)
		ma, mb, my := newMultiplier(sa/twice), newMultiplier(sb/twice), newMultiplier(twice/(float64(1<<shift)*sy))
		return func(s *Session) {
			x, z, q := s.values[from].q, s.values[with].q, s.values[to].q
			for i := range q {
				sum := ma.times((int32(x[i])-za)<<shift) + mb.times((int32(z[i])-zb)<<shift)
				q[i] = clampInt8(my.times(sum) + zy)
			}
		}, nil
	}
	return nil, errors.New("these types are not supported")
}
