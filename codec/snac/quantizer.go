package snac

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// multiscale is a residual quantizer whose levels have rates of their own: level i
// quantizes the mean of each strides[i] rows and stands for all of them (Siuzdak et
// al. 2024, section 3.1). A frame is as long as the longest: its codes are those of
// level 0, then those of level 1 in their order, and so on.
type multiscale struct {
	strides []int
	levels  []published.Level
}

// Params lists those of the levels.
func (q *multiscale) Params() []*nn.Param { return (&published.Residual{Levels: q.levels}).Params() }

// Step is not used: a quantizer has two ways.
func (q *multiscale) Step(*nn.Stream, *backend.Tensor) *backend.Tensor { panic("snac: a quantizer") }

// count is the number of codes of a level in a frame.
func (q *multiscale) count(level int) int { return q.strides[0] / q.strides[level] }

// Sizes are those of the codebooks, one for every code of a frame.
func (q *multiscale) Sizes() []int {
	var sizes []int
	for i, l := range q.levels {
		for range q.count(i) {
			sizes = append(sizes, l.Book.Size)
		}
	}
	return sizes
}

// steps are the numbers of codes of a frame that end with a level.
func (q *multiscale) steps() []int {
	var steps []int
	n := 0
	for i := range q.levels {
		n += q.count(i)
		steps = append(steps, n)
	}
	return steps
}

// each calls f with the levels that n codes hold, and where the codes of a level
// start in a frame.
func (q *multiscale) each(n int, f func(i int, l published.Level, at int)) {
	at := 0
	for i, l := range q.levels {
		if at >= n {
			return
		}
		f(i, l, at)
		at += q.count(i)
	}
}

// Encode quantizes what the levels before left of each frame.
func (q *multiscale) Encode(s *nn.Stream, z *backend.Tensor, n int) []int32 {
	frames := z.Rows / q.strides[0]
	codes := make([]int32, frames*n)
	residual := s.Tensor(z.Rows, z.Cols)
	s.Copy(residual, z)
	q.each(n, func(i int, l published.Level, at int) {
		stride, count := q.strides[i], q.count(i)
		column := make([]int32, frames*count)
		x := l.In.Step(s, means(s, residual, stride))
		l.Book.Nearest(s, column, x)
		for t, c := range column {
			codes[t/count*n+at+t%count] = c
		}
		if at+count < n {
			y := l.Out.Step(s, l.Book.Lookup(s, column))
			s.Wait()
			for r := range residual.Rows {
				row := residual.Row(r)
				for k, v := range y.Row(r / stride) {
					row[k] -= v
				}
			}
		}
	})
	return codes
}

// means gives the mean of each stride rows, added up in their order.
func means(s *nn.Stream, x *backend.Tensor, stride int) *backend.Tensor {
	if stride == 1 {
		return x
	}
	y := s.Tensor(x.Rows/stride, x.Cols)
	s.Wait()
	for r := range y.Rows {
		mean := y.Row(r)
		copy(mean, x.Row(r*stride))
		for j := 1; j < stride; j++ {
			for k, v := range x.Row(r*stride + j) {
				mean[k] += v
			}
		}
		for k := range mean {
			mean[k] /= float32(stride)
		}
	}
	return y
}

// Decode adds up what the codes of a row stand for, level by level.
func (q *multiscale) Decode(s *nn.Stream, codes []int32, n int) *backend.Tensor {
	frames := len(codes) / n
	var sum *backend.Tensor
	q.each(n, func(i int, l published.Level, at int) {
		stride, count := q.strides[i], q.count(i)
		column := make([]int32, frames*count)
		for t := range column {
			column[t] = codes[t/count*n+at+t%count]
		}
		y := l.Out.Step(s, l.Book.Lookup(s, column))
		s.Wait()
		if sum == nil {
			sum = s.Tensor(frames*q.strides[0], y.Cols)
			for r := range sum.Rows {
				copy(sum.Row(r), y.Row(r/stride))
			}
			return
		}
		for r := range sum.Rows {
			row := sum.Row(r)
			for k, v := range y.Row(r / stride) {
				row[k] += v
			}
		}
	})
	return sum
}
