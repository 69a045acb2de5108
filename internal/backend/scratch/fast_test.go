package scratch

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

func rnd(r, c int) *backend.Tensor {
	t := backend.Host(make([]float32, r*c), r, c)
	for i := range t.Data {
		t.Data[i] = float32(rand.NormFloat64())
	}
	return t
}

func TestFast(t *testing.T) {
	f, s := NewFast(2), New()
	cmp := func(n string, a, b []float32) {
		t.Helper()
		for i := range a {
			if math.Abs(float64(a[i]-b[i])) > 2e-4*(1+math.Abs(float64(b[i]))) {
				t.Fatalf("%s %d: %g %g", n, i, a[i], b[i])
			}
		}
	}
	for range 20 {
		m, k, n := 1+rand.IntN(40), 1+rand.IntN(70), 1+rand.IntN(80)
		x, w, dy := rnd(m, k), rnd(k, n), rnd(m, n)
		y1, y2 := rnd(m, n), rnd(m, n)
		bias := rnd(1, n).Data
		f.MatMul(y1, x, f.Pack(w.Data, k, n), backend.Epilogue{Bias: bias, Act: backend.GELU})
		s.MatMul(y2, x, s.Pack(w.Data, k, n), backend.Epilogue{Bias: bias, Act: backend.GELU})
		cmp("matmul", y1.Data, y2.Data)
		d1, d2 := rnd(m, k), rnd(m, k)
		f.MatMul(d1, dy, f.PackT(w.Data, k, n), backend.Epilogue{})
		s.MatMul(d2, dy, s.PackT(w.Data, k, n), backend.Epilogue{})
		cmp("matmulT", d1.Data, d2.Data)
		w1, w2 := rnd(k, n), rnd(k, n)
		copy(w2.Data, w1.Data)
		f.MatMulTN(w1, x, dy)
		s.MatMulTN(w2, x, dy)
		cmp("tn", w1.Data, w2.Data)
		f.ActivateGrad(y1, dy, dy, backend.GELU)
		s.ActivateGrad(y2, dy, dy, backend.GELU)
		cmp("gelugrad", y1.Data, y2.Data)
		xx, taps, c1, c2 := rnd(m+6, n), rnd(7, n), rnd(m, n), rnd(m, n)
		f.DepthwiseConv(c1, xx, taps.Data, bias, 7, 1)
		s.DepthwiseConv(c2, xx, taps.Data, bias, 7, 1)
		cmp("dw", c1.Data, c2.Data)
		g1, g2 := make([]float32, 7*n), make([]float32, 7*n)
		f.DepthwiseConvGradWeights(g1, xx, dy, 7, 1)
		s.DepthwiseConvGradWeights(g2, xx, dy, 7, 1)
		cmp("dwg", g1, g2)
		a := backend.AdamW{LR: 1e-3, Beta1: .8, Beta2: .99, Eps: 1e-8, WeightDecay: .01, Step: 3}
		p1, p2 := rnd(4, n).Data, make([]float32, 4*n)
		copy(p2, p1)
		g := rnd(4, n).Data
		m1, m2, v1, v2 := make([]float32, 4*n), make([]float32, 4*n), make([]float32, 4*n), make([]float32, 4*n)
		f.AdamWStep(p1, g, m1, v1, a)
		s.AdamWStep(p2, g, m2, v2, a)
		cmp("adamw", p1, p2)
	}
}
