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
	whole := roundUp(n, f32.Lanes)
	if len(s.products) < nearestRows*whole {
		s.products = aligned(nearestRows * whole)
	}
	s.game.fill(j.game, n)
	lo, hi := span(j.x.Rows, nearestRows, part, j.parts)
	for ; lo < hi; lo += nearestRows {
		end := min(lo+nearestRows, hi)
		s.view = backend.Tensor{Rows: end - lo, Cols: n, Stride: whole, Data: s.products}
		j.b.product(&s.view, 0, j.x, j.w, together, &noEpilogue, lo, end, 0, n, s)
		for t := lo; t < end; t++ {
			row := s.products[(t-lo)*whole:][:whole]
			j.codes[t] = j.b.join(row, f32.InverseLength(j.x.Row(t)), j.game, n, s)
		}
	}
}

// lanes are what the kernels of the node game work on beside the products.
type lanes struct {
	sum, best [f32.Lanes]float32
	code      [f32.Lanes]int32
	// The clusters, and behind them some that no node joins, up to a whole group.
	bias, inside, inverse, bits []float32
	memory                      []float32
}

func (l *lanes) fill(g *backend.Game, n int) {
	whole := roundUp(n, f32.Lanes)
	if len(l.memory) < 4*whole {
		l.memory = aligned(4 * whole)
	}
	for i, v := range []struct {
		to   *[]float32
		from []float32
		rest float32
	}{{&l.bias, g.Bias, 0}, {&l.inside, g.Inside, 0}, {&l.inverse, g.Inverse, 0}, {&l.bits, g.Bits, math.MaxFloat32}} {
		*v.to = l.memory[i*whole:][:whole]
		copy(*v.to, v.from[:n])
		for k := n; k < whole; k++ {
			(*v.to)[k] = v.rest
		}
	}
}

// join gives the cluster, of n, of a node whose products, to be scaled, are w, which it
// changes. Room is for a whole group behind them.
func (b *Backend) join(w []float32, scale float32, g *backend.Game, n int, s *scratch) int32 {
	v, l := b.kernels.vector, &s.game
	if v == nil {
		return join(w[:n], scale, g)
	}
	edges := v.edges
	if g.Soft {
		edges = v.softEdges
	}
	for i := n; i < len(w); i++ {
		w[i] = float32(math.Inf(-1))
	}
	clear(l.sum[:])
	edges(len(w), &w[0], scale, &l.bias[0], &l.sum[0], &l.best[0], &l.code[0])
	if n < len(w) && !l.settled(w, n) {
		return finishJoin(w[:n], g)
	}
	d := f32.Tree(&l.sum)
	if d == 0 {
		return -1
	}
	c := f32.Log2(g.Total + float32(2*d))
	// What the group with the heaviest edge wins, where much can be won, bounds the
	// search.
	from := l.heaviest() &^ (f32.Lanes - 1)
	best := float32(math.Inf(1))
	v.joins(f32.Lanes, &w[from], &l.inside[from], &l.inverse[from], &l.bits[from], d, c, best, &l.best[0], &l.code[0])
	bound, _ := least(&l.best, &l.code, f32.Lanes, best)
	bound = math.Nextafter32(bound, best)
	v.joins(len(w), &w[0], &l.inside[0], &l.inverse[0], &l.bits[0], d, c, bound, &l.best[0], &l.code[0])
	_, code := least(&l.best, &l.code, f32.Lanes, bound)
	if int(code) >= n { // nothing is to be won
		return finishJoin(w[:n], g)
	}
	return code
}

// settled says whether the weights behind n clusters, which are next to nothing, left
// the sums as they were.
func (l *lanes) settled(w []float32, n int) bool {
	for i := n; i < len(w); i++ {
		if w[i] != 0 && !(l.sum[i%f32.Lanes] > 0x1p-90) {
			return false
		}
	}
	return true
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
	for e, p := range w {
		w[e] = f32.Edge(p, scale, g.Bias[e], g.Soft)
	}
	return finishJoin(w, g)
}

// finishJoin is the rest of it, of the weights of edges.
func finishJoin(w []float32, g *backend.Game) int32 {
	var sum [f32.Lanes]float32
	for e, v := range w {
		sum[e%f32.Lanes] += v
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
