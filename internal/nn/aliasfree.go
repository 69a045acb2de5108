package nn

import "github.com/sotto-audio/sotto/internal/backend"

// aliasTaps is the number of taps of the filters of an AliasFree.
const aliasTaps = 12

// AliasFree applies a function at twice the rate, so that the harmonics that it
// makes do not fold back (Karras et al. 2021, StyleGAN3, section 3; Lee et al. 2023,
// BigVGAN, section 3.3): rows are raised to twice their number by a low-pass filter,
// the function follows, and another filter takes every second row. The first and the
// last row are repeated at the ends, at either rate.
type AliasFree struct {
	Channels int
	Func     Pointwise

	upEven, upOdd, downEven, downOdd []float32 // taps [6, C] of the filters
}

// Params lists those of the function: the filters are not trained.
func (l *AliasFree) Params() []*Param { return l.Func.Params() }

// Reach is that of both filters.
func (*AliasFree) Reach() Reach { return Reach{Past: 5, Ahead: 5, Rate: 1} }

// NewAliasFree lays out the filters, of twelve taps each.
func NewAliasFree(channels int, up, down []float32, f Pointwise) *AliasFree {
	every := func(taps []float32, first, step int, gain float32) []float32 {
		var w []float32
		for i := first; i >= 0 && i < len(taps); i += step {
			for range channels {
				w = append(w, gain*taps[i])
			}
		}
		return w
	}
	return &AliasFree{
		Channels: channels, Func: f,
		upEven: every(up, aliasTaps-1, -2, 2), upOdd: every(up, aliasTaps-2, -2, 2), downEven: every(down, 1, 2, 1), downOdd: every(down, 0, 2, 1),
	}
}

// Step gives the rows that x settles.
func (l *AliasFree) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	const half = aliasTaps / 2
	in := window{reach: 11, stride: 1, pad: Padding{Left: 5, Right: 5, Mode: PadReplicate}}
	from, to, joined := in.join(s, l, x, l.Channels)
	n := to - from
	y := s.Tensor(s.Batch*n, l.Channels)
	if n == 0 {
		s.Release(joined)
		return y
	}
	// The rows 2t of the higher rate for t from from−2 on, and 2t+1 from from−3 on.
	even, odd, part := s.Tensor(n+half-1, l.Channels), s.Tensor(n+half-1, l.Channels), s.Tensor(n, l.Channels)
	for i := range s.Batch {
		rows := s.Rows(joined, i*(n+10), (i+1)*(n+10))
		s.Backend.DepthwiseConv(even, rows, l.upEven, nil, half, 1)
		s.Backend.DepthwiseConv(odd, rows, l.upOdd, nil, half, 1)
		s.Finish(even, even, l.Func.epilogue())
		s.Finish(odd, odd, l.Func.epilogue())
		// Rows before the first are the first, rows behind the last the last.
		for t := min(from-3, -1); t < 0 && from < 3; t++ {
			first := s.Rows(even, 2-from, 3-from)
			if at := t - from + 2; at >= 0 {
				s.Copy(s.Rows(even, at, at+1), first)
			}
			if at := t - from + 3; at >= 0 {
				s.Copy(s.Rows(odd, at, at+1), first)
			}
		}
		for t := to; s.Last && t < to+3; t++ {
			last := s.Rows(odd, n+2, n+3)
			s.Copy(s.Rows(even, t-from+2, t-from+3), last)
			if at := t - from + 3; at < odd.Rows {
				s.Copy(s.Rows(odd, at, at+1), last)
			}
		}
		out := s.Rows(y, i*n, (i+1)*n)
		s.Backend.DepthwiseConv(out, even, l.downEven, nil, half, 1)
		s.Backend.DepthwiseConv(part, odd, l.downOdd, nil, half, 1)
		s.Backend.Add(out, out, part)
	}
	s.Release(joined, even, odd, part)
	return y
}
