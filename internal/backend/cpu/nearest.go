package cpu

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
)

// nearestRows is how many rows of products stay in cache until their smallest
// distance is known.
const nearestRows = 12

// Nearest finds the closest entry of a codebook for each row.
func (b *Backend) Nearest(codes []int32, x *backend.Tensor, book *backend.Weights, half []float32) {
	if x.Cols != book.K || len(codes) < x.Rows || len(half) < book.N {
		backend.Fail("Nearest: %d codes for [%d, %d] in [%d, %d]", len(codes), x.Rows, x.Cols, book.N, book.K)
	}
	if x.Rows == 0 {
		return
	}
	j := b.job()
	j.codes, j.x, j.w, j.v0 = codes, x, book, half
	j.do(b.split(x.Rows, nearestRows, float64(book.K)*float64(book.N)/40), nearestPart)
}

func nearestPart(j *job, part int, s *scratch) {
	n := j.w.N
	lo, hi := span(j.x.Rows, nearestRows, part, j.parts)
	for ; lo < hi; lo += nearestRows {
		end := min(lo+nearestRows, hi)
		if len(s.products) < nearestRows*n {
			s.products = aligned(nearestRows * n)
		}
		s.view = backend.Tensor{Rows: end - lo, Cols: n, Stride: n, Data: s.products}
		j.b.product(&s.view, 0, j.x, j.w, together, &noEpilogue, lo, end, 0, n, s)
		for t := lo; t < end; t++ {
			j.codes[t] = j.b.argmin(s.view.Row(t-lo), j.v0[:n], s)
		}
	}
}

// argmin gives the first index of the smallest half[n] − p[n].
func (b *Backend) argmin(p, half []float32, s *scratch) int32 {
	best, code := float32(math.Inf(1)), int32(0)
	first := 0
	if v := b.kernels.vector; v != nil {
		first = len(p) &^ (len(s.best) - 1)
		v.smallest(first, at(p, 0), at(half, 0), &s.best[0], &s.code[0])
		best, code = least(&s.best, &s.code, len(s.best), best)
	}
	for n := first; n < len(p); n++ {
		if d := half[n] - p[n]; d < best {
			best, code = d, int32(n)
		}
	}
	return code
}
