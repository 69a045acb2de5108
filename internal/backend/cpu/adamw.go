package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// AdamWStep updates w, m and v.
func (b *Backend) AdamWStep(w, g, m, v []float32, a backend.AdamW) {
	if len(g) != len(w) || len(m) != len(w) || len(v) != len(w) {
		backend.Fail("AdamWStep: %d weights, %d gradients, %d and %d moments", len(w), len(g), len(m), len(v))
	}
	const unit = 4096
	j := b.job()
	j.v0, j.v1, j.v2, j.v3 = w, g, m, v
	j.adam = f32.NewAdamW(a.LR, a.Beta1, a.Beta2, a.Eps, a.WeightDecay, a.Scale, a.Step)
	j.do(b.split(len(w), unit, 1), func(j *job, part int, _ *scratch) {
		lo, hi := span(len(j.v0), unit, part, j.parts)
		w, g, m, v := j.v0[lo:hi], j.v1[lo:hi], j.v2[lo:hi], j.v3[lo:hi]
		if k := j.b.kernels.vector; k != nil && lo < hi {
			k.adamw(hi-lo, &w[0], &g[0], &m[0], &v[0], &j.adam.Beta1)
			return
		}
		for i := range w {
			w[i], m[i], v[i] = j.adam.Update(w[i], g[i], m[i], v[i])
		}
	})
}
