package nn

import (
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
)

// ConvTranspose1d is a transposed convolution along time, which gives Stride rows
// for every one: row t of x adds x[t]·w[j] to row t·Stride + j of a sum, whose
// first TrimLeft and last TrimRight rows are left out.
//
// It runs as a convolution that gives Stride rows at once: the frames that reach
// a row add up oldest first, each in the order of channels, then the bias.
type ConvTranspose1d struct {
	In, Out, Kernel, Stride, Groups int
	TrimLeft, TrimRight             int
	Weight                          *Param    // [Kernel, In/Groups, Out]
	Bias                            *Param    // [Out], may be nil
	After                           Pointwise // may be nil

	matrices derived
}

// NewConvTranspose1d makes a transposed convolution of zeros with one group, that
// trims nothing; its parameters are called name.weight and name.bias.
func NewConvTranspose1d(name string, in, out, kernel, stride int) *ConvTranspose1d {
	return &ConvTranspose1d{
		In: in, Out: out, Kernel: kernel, Stride: stride, Groups: 1,
		Weight: NewParam(name+".weight", kernel, in, out), Bias: NewParam(name+".bias", out),
	}
}

// Params lists weight and bias.
func (l *ConvTranspose1d) Params() []*Param {
	if l.Bias == nil {
		return []*Param{l.Weight}
	}
	return []*Param{l.Weight, l.Bias}
}

// frames is the number of rows of x that reach one row of y.
func (l *ConvTranspose1d) frames() int { return (l.Kernel + l.Stride - 1) / l.Stride }

// depthwise says whether every channel is a group of its own.
func (l *ConvTranspose1d) depthwise() bool { return l.Groups == l.In && l.In == l.Out }

// Reach is how far the layer looks.
func (l *ConvTranspose1d) Reach() Reach {
	return Reach{Past: float64(l.frames() - 1), Ahead: float64(l.TrimLeft) / float64(l.Stride), Rate: float64(l.Stride)}
}

// Step gives the rows that x settles. Where fewer than a stride's rows of overlap
// are left after TrimRight, the last ones would be taken back: that panics.
func (l *ConvTranspose1d) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	if l.TrimRight > l.Kernel-l.Stride {
		panic("nn: a transposed convolution that trims rows which are settled")
	}
	m := l.frames()
	in := window{reach: m, stride: 1, pad: Padding{Left: m - 1, Right: m - 1}}
	from, to, pieces, joined := in.take(s, l, x, l.In)
	blocks := to - from
	sum := s.Tensor(s.Batch*blocks*l.Stride, l.Out)
	ep := l.epilogue()
	for _, p := range pieces {
		at := p.item*blocks - from
		l.blocks(s, s.Rows(sum, (at+p.from)*l.Stride, (at+p.to)*l.Stride), p.rows, ep)
	}
	s.Release(joined)
	// Rows of the sum that come out.
	first, end := max(from*l.Stride, l.TrimLeft), to*l.Stride
	if s.Last && to > 0 {
		n := to - (m - 1) // rows of x
		end = (n-1)*l.Stride + l.Kernel - l.TrimRight
	}
	count := max(end-first, 0)
	if first == from*l.Stride && count == blocks*l.Stride {
		return sum
	}
	y := s.Tensor(s.Batch*count, l.Out)
	for i := range s.Batch {
		at := i*blocks*l.Stride + first - from*l.Stride
		if count > 0 {
			s.Copy(s.Rows(y, i*count, (i+1)*count), s.Rows(sum, at, at+count))
		}
	}
	s.Release(sum)
	return y
}

// epilogue is bias and function of what blocks gives: of a row, or of a stride's rows
// side by side.
func (l *ConvTranspose1d) epilogue() backend.Epilogue {
	ep := after(l.After)
	if l.Bias != nil {
		ep.Bias = l.Bias.Data
	}
	if l.depthwise() {
		return ep
	}
	for _, v := range []*[]float32{&ep.Bias, &ep.Alpha, &ep.Inverse} {
		if *v != nil {
			*v = slices.Repeat(*v, l.Stride)
		}
	}
	return ep
}

// blocks sets y, a stride's rows for each frame, to the epilogue of the sums of the
// frames of x that reach them.
func (l *ConvTranspose1d) blocks(s *Stream, y, x *backend.Tensor, ep backend.Epilogue) {
	m := l.frames()
	if l.depthwise() {
		for j := range l.Stride {
			s.DepthwiseConv(s.every(y, j, l.Stride), x, l.phase(j), nil, m, 1)
		}
		s.Finish(y, y, ep)
		return
	}
	if l.Groups != 1 {
		panic("nn: a transposed convolution of groups of several channels")
	}
	w := l.matrices.of(s.Backend, l.Weight, 0, func() []*backend.Weights {
		// The newest frame gives the first Stride taps, the one before it the next.
		k, n := m*l.In, l.Stride*l.Out
		w := make([]float32, k*n)
		for tap := range l.Kernel {
			frame, j := m-1-tap/l.Stride, tap%l.Stride
			for c := range l.In {
				copy(w[(frame*l.In+c)*n+j*l.Out:][:l.Out], l.Weight.Data[(tap*l.In+c)*l.Out:])
			}
		}
		return []*backend.Weights{s.Pack(w, k, n)}
	})[0]
	n, wide := y.Rows/l.Stride, l.Stride*l.Out
	s.MatMul(s.shape(y, n, wide, wide), s.shape(x, n, m*l.In, l.In), w, ep)
}

// phase is the taps [frames, Out] of a depthwise convolution that reach row j of a
// block, the oldest frame first.
func (l *ConvTranspose1d) phase(j int) []float32 {
	m := l.frames()
	w := make([]float32, m*l.Out)
	for f := range m {
		if tap := (m-1-f)*l.Stride + j; tap < l.Kernel {
			copy(w[f*l.Out:(f+1)*l.Out], l.Weight.Data[tap*l.Out:])
		}
	}
	return w
}
