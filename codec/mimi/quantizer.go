package mimi

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// split is two residual quantizers of the same latents, whose results add up: a
// semantic one and an acoustic one (Défossez et al. 2024, section 3.3.3).
type split struct{ semantic, acoustic *published.Residual }

// Params lists those of both.
func (q *split) Params() []*nn.Param { return nn.Params(q.semantic, q.acoustic) }

// Step is not used: a quantizer has two ways.
func (q *split) Step(*nn.Stream, *backend.Tensor) *backend.Tensor { panic("mimi: a quantizer") }

// Sizes are those of the semantic codebooks, then of the others.
func (q *split) Sizes() []int { return append(q.semantic.Sizes(), q.acoustic.Sizes()...) }

// Encode gives the codes of both, as many as n.
func (q *split) Encode(s *nn.Stream, z *backend.Tensor, n int) []int32 {
	first := len(q.semantic.Levels)
	a := q.semantic.Encode(s, z, first)
	if n == first {
		return a
	}
	b := q.acoustic.Encode(s, z, n-first)
	codes := make([]int32, 0, z.Rows*n)
	for t := range z.Rows {
		codes = append(append(codes, a[t*first:(t+1)*first]...), b[t*(n-first):(t+1)*(n-first)]...)
	}
	return codes
}

// Decode adds up both.
func (q *split) Decode(s *nn.Stream, codes []int32, n int) *backend.Tensor {
	first := len(q.semantic.Levels)
	part := func(from, to int) []int32 {
		var out []int32
		for at := 0; at < len(codes); at += n {
			out = append(out, codes[at+from:at+to]...)
		}
		return out
	}
	y := q.semantic.Decode(s, part(0, first), first)
	if n > first {
		other := q.acoustic.Decode(s, part(first, n), n-first)
		s.Backend.Add(y, y, other)
		s.Release(other)
	}
	return y
}
