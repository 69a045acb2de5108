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

// Grouped splits latents into parts of one size, each with a residual quantizer of
// its own (GRVQ; Yang et al. 2023, HiFi-Codec). The order of a frame's codes is
// the first level of every group, then the second.
type Grouped struct{ Groups []*Residual }

// Params lists those of all groups.
func (q *Grouped) Params() []*nn.Param {
	var all []*nn.Param
	for _, g := range q.Groups {
		all = append(all, g.Params()...)
	}
	return all
}

// Sizes are those of the codebooks, in the order of a frame's codes.
func (q *Grouped) Sizes() []int {
	var sizes []int
	for i := range q.Groups[0].Levels {
		for _, g := range q.Groups {
			sizes = append(sizes, g.Levels[i].Book.Size)
		}
	}
	return sizes
}

// Encode gives n codes, which is a number of whole levels.
func (q *Grouped) Encode(s *nn.Stream, z *backend.Tensor, n int) []int32 {
	groups := len(q.Groups)
	size, levels := z.Cols/groups, n/groups
	codes := make([]int32, z.Rows*n)
	part := s.Tensor(z.Rows, size)
	for g, r := range q.Groups {
		s.Copy(part, s.Part(z, g*size, size))
		for i, c := range r.Encode(s, part, levels) {
			codes[i/levels*n+i%levels*groups+g] = c
		}
	}
	return codes
}

// Decode puts the groups side by side.
func (q *Grouped) Decode(s *nn.Stream, codes []int32, n int) *backend.Tensor {
	groups := len(q.Groups)
	levels, rows := n/groups, len(codes)/n
	var z *backend.Tensor
	own := make([]int32, rows*levels)
	for g, r := range q.Groups {
		for i := range own {
			own[i] = codes[i/levels*n+i%levels*groups+g]
		}
		part := r.Decode(s, own, levels)
		if z == nil {
			z = s.Tensor(rows, groups*part.Cols)
		}
		s.Copy(s.Part(z, g*part.Cols, part.Cols), part)
		s.Release(part)
	}
	return z
}

// Step is not used.
func (q *Grouped) Step(*nn.Stream, *backend.Tensor) *backend.Tensor { panic("published: a quantizer") }
