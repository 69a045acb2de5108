package backendtest

import (
	"math"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// Tensor holds products on units that add in an order of their own to the float64
// product of the factors as they round them, within 1e-5 of the size of what is added,
// and rows to themselves alone.
func Tensor(t *testing.T, b backend.Backend) {
	g := NewGen(b, 9)
	round := map[backend.Precision]func(v float32) float64{
		backend.BFloat16: func(v float32) float64 { return float64(f32.FromBFloat16(f32.BFloat16(v))) },
		backend.TF32: func(v float32) float64 {
			return float64(math.Float32frombits((math.Float32bits(v) + 0x1000) &^ 0x1fff))
		},
	}
	for i := range 24 {
		p := []backend.Precision{backend.BFloat16, backend.TF32}[i%2]
		m, k, n := g.size(150), g.size(200), g.size(150)
		x, w := g.Tensor(m, k, g.IntN(3)), g.Vector(k*n)
		ep := backend.Epilogue{Bias: g.maybe(n), Scale: g.maybe(n), Residual: g.Tensor(m, n, 1)}
		y := g.poisoned(m, n, 2)
		packed := b.PackReduced(w, k, n, p)
		b.MatMul(y, x, packed, ep)
		backend.Wait(b)
		for r := range m {
			for c := range n {
				var sum, size float64
				for l := range k {
					v := round[p](x.Row(r)[l]) * round[p](w[l*n+c])
					sum, size = sum+v, size+math.Abs(v)
				}
				if ep.Bias != nil {
					sum, size = sum+float64(ep.Bias[c]), size+math.Abs(float64(ep.Bias[c]))
				}
				if ep.Scale != nil {
					sum, size = sum*float64(ep.Scale[c]), size*math.Abs(float64(ep.Scale[c]))
				}
				sum += float64(ep.Residual.Row(r)[c])
				if d := math.Abs(float64(y.Row(r)[c]) - sum); d > 1e-5*(size+1) {
					t.Fatalf("%v: [%d, %d]·[%d, %d]: value %d, %d is %v, want %v", p, m, k, k, n, r, c, y.Row(r)[c], sum)
				}
			}
		}
		alone := b.New(1, n)
		at := g.IntN(m)
		ep.Residual = ep.Residual.Slice(at, at+1)
		b.MatMul(alone, x.Slice(at, at+1), packed, ep)
		backend.Wait(b)
		if !slices.Equal(alone.Row(0), y.Row(at)) {
			t.Errorf("%v: row %d of %d is another one alone", p, at, m)
		}
	}
}
