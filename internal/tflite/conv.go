package tflite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// conv is a convolution along time over arrays [1, time, 1, channels].
type conv struct {
	code                     Code
	x, y, w                  *Tensor
	from, to                 int
	stride, dilation, taps   int
	rows, outRows, cin, cout int
	groups                   int // of channels
	weights                  int // tensor
	bias                     []float32
	biasInt                  []int32
	multipliers              []multiplier
}

func (p *Program) compileConv(op Operator) (step, error) {
	in, out, err := p.tensors(op, 2, 1)
	if err != nil {
		return nil, err
	}
	c := &conv{code: op.Code, w: in[1], y: out[0], to: op.Outputs[0], weights: op.Inputs[1], dilation: 1}
	x, bias := 0, 2
	if op.Code == TransposeConv { // (output shape, weights, input, bias)
		x, bias = 2, 3
	}
	if len(in) <= bias || in[bias] == nil || in[x] == nil {
		return nil, errors.New("a convolution without input or bias")
	}
	c.x, c.from = in[x], op.Inputs[x]
	o := op.options
	const valid = 1
	strideWidth, activation := o.int32(1), 0
	c.stride = o.int32(2)
	switch op.Code {
	case Conv2D:
		activation, c.dilation = o.int8(3), max(o.int32(5), 1)
	case DepthwiseConv2D:
		activation, c.dilation = o.int8(4), max(o.int32(6), 1)
	case TransposeConv:
		activation = o.int8(3)
	}
	if o.int8(0) != valid || activation != 0 || c.stride < 1 {
		return nil, fmt.Errorf("padding %d, strides %d and %d, activation %d", o.int8(0), c.stride, strideWidth, activation)
	}
	if err := c.shapes(); err != nil {
		return nil, err
	}
	switch {
	case c.x.Type == Float32 && c.w.Type == Float32 && c.y.Type == Float32:
		if c.bias, err = in[bias].Floats(); err == nil && len(c.bias) != c.cout {
			err = errShape
		}
		if err != nil {
			return nil, err
		}
		return c.float(p.constants[c.weights].f)
	case c.x.Type == Int8 && c.w.Type == Int8 && c.y.Type == Int8 && in[bias].Type == Int32:
		if len(in[bias].Data) != 4*c.cout {
			return nil, errShape
		}
		for i := range c.cout {
			c.biasInt = append(c.biasInt, int32(binary.LittleEndian.Uint32(in[bias].Data[4*i:])))
		}
		return c.int8(p.constants[c.weights].q)
	}
	return nil, errors.New("these types are not supported")
}

// shapes reads the sizes off the tensors and checks them.
func (c *conv) shapes() error {
	x, w, y := c.x.Shape, c.w.Shape, c.y.Shape
	if len(x) != 4 || len(w) != 4 || len(y) != 4 || x[0] != 1 || x[2] != 1 || y[0] != 1 || y[2] != 1 || w[2] != 1 || len(c.w.Data) == 0 {
		return errShape
	}
	c.rows, c.cin, c.outRows, c.cout, c.taps = x[1], x[3], y[1], y[3], w[1]
	if c.cin < 1 || c.cout < 1 || c.taps < 1 || c.rows < 1 || c.outRows < 1 || c.dilation > c.rows {
		return errShape
	}
	if c.code == TransposeConv {
		if w[0] != c.cout || w[3] != c.cin || c.outRows != (c.rows-1)*c.stride+c.taps {
			return errShape
		}
		c.groups = 1
		return nil
	}
	if need := (c.outRows-1)*c.stride + (c.taps-1)*c.dilation + 1; need > c.rows || need+c.stride <= c.rows {
		return errShape
	}
	if c.code == DepthwiseConv2D {
		if w[0] != 1 || w[3] != c.cin || c.cout != c.cin {
			return errShape
		}
		return nil
	}
	if w[3] < 1 || c.cin%w[3] != 0 || w[0] != c.cout {
		return errShape
	}
	c.groups = c.cin / w[3]
	if c.cout%c.groups != 0 {
		return errShape
	}
	return nil
}

// number is a value that sums are made of.
type number interface{ float32 | int32 }

// accumulate adds x·w to sum: x [n], w [n, len(sum)]. Products are rounded before
// they are added, in the order of x, as TensorFlow Lite's reference kernels do it.
func accumulate[T number, V float32 | int8](sum []T, x, w []V) {
	n := len(sum)
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d := T(x[0]), T(x[1]), T(x[2]), T(x[3])
		wa, wb, wc, wd := w[:n], w[n:2*n], w[2*n:3*n], w[3*n:4*n]
		for o := range sum {
			v := sum[o] + T(a*T(wa[o]))
			v += T(b * T(wb[o]))
			v += T(c * T(wc[o]))
			sum[o] = v + T(d*T(wd[o]))
		}
		w = w[4*n:]
	}
	for i, v := range x {
		for o, u := range w[i*n : (i+1)*n] {
			sum[o] += T(T(v) * T(u))
		}
	}
}

// transpose lays out weights [cout, taps, cin/groups] as [groups][taps, cin/groups, cout/groups].
func transpose[V float32 | int8](c *conv, w []V) []V {
	t := make([]V, len(w))
	in, out := c.cin/c.groups, c.cout/c.groups
	for o := range c.cout {
		for k := range c.taps * in {
			t[(o/out*c.taps*in+k)*out+o%out] = w[o*c.taps*in+k]
		}
	}
	return t
}

// dense adds a convolution in groups at row t to the sums of its channels, with
// weights as transpose gives them.
func dense[T number, V float32 | int8](c *conv, t int, sum []T, x, w []V) {
	in, out := c.cin/c.groups, c.cout/c.groups
	for g := range c.groups {
		for k := range c.taps {
			row := x[(t*c.stride+k*c.dilation)*c.cin+g*in:][:in]
			accumulate(sum[g*out:(g+1)*out], row, w[(g*c.taps+k)*in*out:])
		}
	}
}

// float compiles the float32 form.
func (c *conv) float(w []float32) (step, error) {
	finish := func(y []float32) {
		for i := range y {
			y[i] += c.bias[i%c.cout]
		}
	}
	switch c.code {
	case DepthwiseConv2D:
		return func(s *Session) {
			x, y := s.values[c.from].f, s.values[c.to].f
			clear(y)
			for t := range c.outRows {
				for k := range c.taps {
					row := x[(t*c.stride+k*c.dilation)*c.cin:]
					for o, v := range w[k*c.cin : (k+1)*c.cin] {
						y[t*c.cout+o] += float32(row[o] * v)
					}
				}
			}
			finish(y)
		}, nil
	case TransposeConv:
		t := transpose(c, w)
		return func(s *Session) {
			y := s.values[c.to].f
			clear(y)
			transposed(c, y, s.values[c.from].f, t)
			finish(y)
		}, nil
	}
	t := transpose(c, w)
	return func(s *Session) {
		y := s.values[c.to].f
		clear(y)
		for row := range c.outRows {
			dense(c, row, y[row*c.cout:(row+1)*c.cout], s.values[c.from].f, t)
		}
		finish(y)
	}, nil
}

// transposed adds a transposed convolution to the sums y [outRows, cout]: value by
// value of x, as the reference kernel does it.
func transposed[T number, V float32 | int8](c *conv, y []T, x, w []V) {
	for t := range c.rows {
		for k := range c.taps {
			at := (t*c.stride + k) * c.cout
			accumulate(y[at:at+c.cout], x[t*c.cin:(t+1)*c.cin], w[k*c.cin*c.cout:])
		}
	}
}

// int8 compiles the form in int8: exact sums in int32, brought to the scale of
// the output.
func (c *conv) int8(w []int8) (step, error) {
	sx, zx, err1 := c.x.scale()
	sy, zy, err2 := c.y.scale()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if n := len(c.w.Scale); n != 1 && n != c.cout {
		return nil, errors.New("the weights need one scale, or one for each channel")
	}
	for i := range c.cout {
		scale := c.w.Scale[i%len(c.w.Scale)]
		if c.w.Zero[i%len(c.w.Zero)] != 0 {
			return nil, errors.New("weights with a zero point")
		}
		c.multipliers = append(c.multipliers, newMultiplier(sx*float64(scale)/sy))
	}
	finish := func(y []int8, sums []int32) {
		for i, sum := range sums {
			o := i % c.cout
			y[i] = clampInt8(c.multipliers[o].times(sum) + zy)
		}
	}
	if c.code == DepthwiseConv2D {
		return func(s *Session) {
			x, sums := s.values[c.from].q, s.sums(c.outRows*c.cout)
			for t := range c.outRows {
				sum := sums[t*c.cout : (t+1)*c.cout]
				copy(sum, c.biasInt)
				for k := range c.taps {
					row := x[(t*c.stride+k*c.dilation)*c.cin:]
					for o, v := range w[k*c.cin : (k+1)*c.cin] {
						sum[o] += (int32(row[o]) - zx) * int32(v)
					}
				}
			}
			finish(s.values[c.to].q, sums)
		}, nil
	}
	t := transpose(c, w)
	if c.code == TransposeConv {
		// What the zero point adds depends on the taps that reach a row: all ones in.
		zero := make([]int32, c.outRows*c.cout)
		transposed(c, zero, slices.Repeat([]int8{1}, c.rows*c.cin), t)
		return func(s *Session) {
			sums := s.sums(len(zero))
			for i, z := range zero {
				sums[i] = c.biasInt[i%c.cout] - zx*z
			}
			transposed(c, sums, s.values[c.from].q, t)
			finish(s.values[c.to].q, sums)
		}, nil
	}
	// Σ (x − zero)·w = Σ x·w − zero·Σ w.
	first := slices.Clone(c.biasInt)
	size := len(w) / c.cout
	for o := range first {
		for _, v := range w[o*size : (o+1)*size] {
			first[o] -= zx * int32(v)
		}
	}
	return func(s *Session) {
		sums := s.sums(c.outRows * c.cout)
		for row := range c.outRows {
			sum := sums[row*c.cout : (row+1)*c.cout]
			copy(sum, first)
			dense(c, row, sum, s.values[c.from].q, t)
		}
		finish(s.values[c.to].q, sums)
	}, nil
}
