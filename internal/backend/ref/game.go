package ref

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

var _ backend.Joiner = Backend{}

// Join plays the node game.
func (b Backend) Join(codes []int32, x *backend.Tensor, sums *backend.Weights, g *backend.Game) {
	w := b.New(x.Rows, sums.N)
	b.MatMul(w, x, sums, backend.Epilogue{})
	for t := range x.Rows {
		row := w.Row(t)
		var partial [f32.Lanes]float32
		for e, p := range row {
			row[e] = f32.Edge(p, f32.InverseLength(x.Row(t)), g.Bias[e], g.Soft)
			partial[e%f32.Lanes] += row[e]
		}
		d := f32.Tree(&partial)
		codes[t] = -1
		if d == 0 {
			continue
		}
		c := f32.Log2(g.Total + float32(2*d))
		best := float32(math.Inf(1))
		codes[t] = 0
		for e, v := range row {
			if h := f32.Join(v, d, g.Inside[e], g.Inverse[e], g.Bits[e], c); h < best {
				best, codes[t] = h, int32(e)
			}
		}
	}
}
