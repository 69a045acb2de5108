package cpu

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

var _ backend.Joiner = (*Backend)(nil)

// Join plays the node game.
func (b *Backend) Join(codes []int32, x *backend.Tensor, sums *backend.Weights, g *backend.Game) {
	n := sums.N
	if x.Cols != sums.K || len(codes) < x.Rows || len(g.Bias) < n || len(g.Inside) < n || len(g.Inverse) < n || len(g.Bits) < n {
		backend.Fail("Join: %d codes for [%d, %d] in [%d, %d]", len(codes), x.Rows, x.Cols, n, sums.K)
	}
	if x.Rows == 0 {
		return
	}
	j := b.job()
	j.codes, j.x, j.w, j.game = codes, x, sums, g
	j.do(b.split(x.Rows, nearestRows, float64(sums.K)*float64(n)/30), joinPart)
}

func joinPart(j *job, part int, s *scratch) {
	n := j.w.N
	if len(s.products) < nearestRows*n {
		s.products = aligned(nearestRows * n)
	}
	s.game.fill(j.game, n)
	lo, hi := span(j.x.Rows, nearestRows, part, j.parts)
	for ; lo < hi; lo += nearestRows {
		end := min(lo+nearestRows, hi)
		s.view = backend.Tensor{Rows: end - lo, Cols: n, Stride: n, Data: s.products}
		j.b.product(&s.view, 0, j.x, j.w, together, &noEpilogue, lo, end, 0, n, s)
		for t := lo; t < end; t++ {
			j.codes[t] = j.b.join(s.view.Row(t-lo), f32.InverseLength(j.x.Row(t)), j.game, s)
		}
	}
}

// lanes are what the kernels of the node game work on beside the clusters.
type lanes struct {
	sum, best [f32.Lanes]float32
	code      [f32.Lanes]int32
	// The clusters past the last whole group, and a node's edges to them.
	bias, inside, inverse, bits, w [f32.Lanes]float32
}

func (l *lanes) fill(g *backend.Game, n int) {
	whole := n &^ (f32.Lanes - 1)
	copy(l.bias[:], g.Bias[whole:n])
	copy(l.inside[:], g.Inside[whole:n])
	copy(l.inverse[:], g.Inverse[whole:n])
	copy(l.bits[:], g.Bits[whole:n])
}

// join gives the cluster of a node whose products, to be scaled, are w, which it
// changes.
func (b *Backend) join(w []float32, scale float32, g *backend.Game, s *scratch) int32 {
	v, l := b.kernels.vector, &s.game
	if v == nil {
		return join(w, scale, g)
	}
	edges := v.edges
	if g.Soft {
		edges = v.softEdges
	}
	whole := len(w) &^ (f32.Lanes - 1)
	rest := copy(l.w[:], w[whole:])
	clear(l.sum[:])
	from := 0 // the group with the heaviest edge, where much can be won
	if whole > 0 {
		edges(whole, &w[0], scale, &g.Bias[0], &l.sum[0], &l.best[0], &l.code[0])
		from = l.heaviest() &^ (f32.Lanes - 1)
	}
	if rest > 0 {
		sum := l.sum
		edges(f32.Lanes, &l.w[0], scale, &l.bias[0], &l.sum[0], &l.best[0], &l.code[0])
		for i := range sum {
			if i < rest {
				sum[i] += l.sum[i]
			}
		}
		l.sum = sum
	}
	d := f32.Tree(&l.sum)
	if d == 0 {
		return -1
	}
	c := f32.Log2(g.Total + float32(2*d))
	best, code := float32(math.Inf(1)), int32(0)
	if whole > 0 {
		// What that group wins bounds the search.
		v.joins(f32.Lanes, &w[from], &g.Inside[from], &g.Inverse[from], &g.Bits[from], d, c, best, &l.best[0], &l.code[0])
		bound, _ := least(&l.best, &l.code, f32.Lanes, best)
		bound = math.Nextafter32(bound, best)
		v.joins(whole, &w[0], &g.Inside[0], &g.Inverse[0], &g.Bits[0], d, c, bound, &l.best[0], &l.code[0])
		best, code = least(&l.best, &l.code, f32.Lanes, bound)
	}
	if rest > 0 {
		v.joins(f32.Lanes, &l.w[0], &l.inside[0], &l.inverse[0], &l.bits[0], d, c, best, &l.best[0], &l.code[0])
		if h, e := least(&l.best, &l.code, rest, best); h < best {
			code = int32(whole) + e
		}
	}
	return code
}

// heaviest gives the cluster of the lane with the largest value.
func (l *lanes) heaviest() int {
	at := 0
	for i, v := range l.best {
		if v > l.best[at] {
			at = i
		}
	}
	return int(l.code[at])
}

// join is the definition, where there are no kernels.
func join(w []float32, scale float32, g *backend.Game) int32 {
	var sum [f32.Lanes]float32
	for e, p := range w {
		w[e] = f32.Edge(p, scale, g.Bias[e], g.Soft)
		sum[e%f32.Lanes] += w[e]
	}
	d := f32.Tree(&sum)
	if d == 0 {
		return -1
	}
	c := f32.Log2(g.Total + float32(2*d))
	best, code := float32(math.Inf(1)), int32(0)
	for e, v := range w {
		if h := f32.Join(v, d, g.Inside[e], g.Inverse[e], g.Bits[e], c); h < best {
			best, code = h, int32(e)
		}
	}
	return code
}

// least gives the first of the smallest values of n lanes that is below a start.
func least(best *[f32.Lanes]float32, codes *[f32.Lanes]int32, n int, start float32) (float32, int32) {
	value, code := start, int32(0)
	for i, v := range best[:n] {
		if v < value || v == value && v < start && codes[i] < code {
			value, code = v, codes[i]
		}
	}
	return value, code
}
