package published

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// Quantizer turns latents into codes and back.
type Quantizer interface {
	nn.Layer // Params; Step is not used
	// Sizes are the entries of each codebook, in the order of a frame's codes.
	Sizes() []int
	// Encode gives the first n codes of each frame, [frames][n], of latents
	// [frames·rows, D]; the rows of a frame are Model.FrameRows.
	Encode(s *nn.Stream, z *backend.Tensor, n int) []int32
	// Decode gives the latents of frames of n codes, each within its codebook.
	Decode(s *nn.Stream, codes []int32, n int) *backend.Tensor
}

// Residual is a residual vector quantizer: each codebook quantizes what those
// before it left over (Zeghidour et al. 2021, SoundStream, algorithm 1).
type Residual struct {
	Levels []Level
	// In and Out project latents to the space of the residuals and back; nil where
	// it is the same.
	In, Out *nn.Linear
}

// Level is a codebook of a residual quantizer, with projections to its space and
// back where it has one of its own (DAC's factorised codes).
type Level struct {
	Book    *nn.Codebook
	In, Out *nn.Linear
}

// Params lists those of projections and codebooks.
func (q *Residual) Params() []*nn.Param {
	var all []*nn.Param
	add := func(l *nn.Linear) {
		if l != nil {
			all = append(all, l.Params()...)
		}
	}
	add(q.In)
	for _, l := range q.Levels {
		add(l.In)
		all = append(all, l.Book.Params()...)
		add(l.Out)
	}
	add(q.Out)
	return all
}

// Sizes are those of the codebooks.
func (q *Residual) Sizes() []int {
	var sizes []int
	for _, l := range q.Levels {
		sizes = append(sizes, l.Book.Size)
	}
	return sizes
}

// Encode quantizes each row with the first n codebooks.
func (q *Residual) Encode(s *nn.Stream, z *backend.Tensor, n int) []int32 {
	codes := make([]int32, z.Rows*n)
	column := make([]int32, z.Rows)
	residual := s.Tensor(z.Rows, z.Cols)
	if q.In != nil {
		residual = q.In.Step(s, z)
	} else {
		s.Copy(residual, z)
	}
	for i, l := range q.Levels[:n] {
		x := residual
		if l.In != nil {
			x = l.In.Step(s, residual)
		}
		l.Book.Nearest(s, column, x)
		for t, c := range column {
			codes[t*n+i] = c
		}
		if i+1 < n {
			s.Backend.ScaleAdd(residual, l.lookup(s, column), minusOnes(residual.Cols), residual)
		}
	}
	return codes
}

// lookup gives what the codes of a level stand for.
func (l Level) lookup(s *nn.Stream, codes []int32) *backend.Tensor {
	y := l.Book.Lookup(s, codes)
	if l.Out != nil {
		y = l.Out.Step(s, y)
	}
	return y
}

func minusOnes(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = -1
	}
	return v
}

// Decode adds up what the codes of a row stand for, the first level first.
func (q *Residual) Decode(s *nn.Stream, codes []int32, n int) *backend.Tensor {
	column := make([]int32, len(codes)/n)
	var sum *backend.Tensor
	for i, l := range q.Levels[:n] {
		for t := range column {
			column[t] = codes[t*n+i]
		}
		y := l.lookup(s, column)
		if sum == nil {
			sum = y
		} else {
			s.Backend.Add(sum, sum, y)
			s.Release(y)
		}
	}
	if q.Out != nil {
		return q.Out.Step(s, sum)
	}
	return sum
}

// Step is not used: a quantizer has two ways.
func (q *Residual) Step(*nn.Stream, *backend.Tensor) *backend.Tensor { panic("published: a quantizer") }
