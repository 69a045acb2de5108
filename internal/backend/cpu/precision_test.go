package cpu_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

var reduced = []backend.Precision{backend.BFloat16, backend.Int8}

func TestReducedMatMul(t *testing.T) {
	onEach(t, func(t *testing.T, b *cpu.Backend, g gen) {
		for i := range 120 {
			m, k, n := g.size(250), g.size(600), g.size(130)
			switch i / 2 {
			case 0:
				m = 0
			case 1:
				k = 0
			case 2:
				m, k, n = 3, 4096, 70
			case 3, 4:
				m, n = i/2-2, 300
			case 5:
				m, k = 40, 1024 // rows on the same cache sets
			}
			p := reduced[i%2]
			x, w := g.tensor(m, k, g.IntN(12)-8), g.vector(k*n)
			switch g.IntN(3) {
			case 0:
				g.wide(x)
			case 1:
				g.tiny(x.Data)
				g.tiny(w)
			}
			if i > 60 && k > 0 {
				w[g.IntN(k*n)] = []float32{nan, float32(math.Inf(-1)), 1e30, 1e-42}[g.IntN(4)]
			}
			ep := backend.Epilogue{Bias: g.maybe(n), Act: backend.Activation(g.IntN(3)), Scale: g.maybe(n)}
			if g.IntN(2) == 0 {
				ep.Residual = g.tensor(m, n, g.IntN(3))
			}
			got := poisoned(m, n, g.IntN(3))
			want := clone(got)
			b.MatMul(got, x, b.PackReduced(w, k, n, p), ep)
			naive.MatMul(want, x, naive.PackReduced(w, k, n, p), ep)
			sameBits(t, fmt.Sprintf("%v: [%d, %d]·[%d, %d] stride %d", p, m, k, k, n, x.Stride), got.Data, want.Data)
		}
	})
}

// tiny brings values to where their products are near the least normal number.
func (g gen) tiny(v []float32) {
	for i := range v {
		v[i] *= float32(math.Ldexp(1, -70+g.IntN(12)))
	}
}
