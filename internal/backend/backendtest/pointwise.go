package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

func testActivate(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		for act := backend.Identity; act < backend.Snake; act++ {
			x, dy := g.wide(g.Tensor(r, c, 3)), g.Tensor(r, c, 1)
			got := g.poisoned(r, c, 2)
			want := clone(got)
			b.Activate(got, x, act)
			naive.Activate(want, x, act)
			g.same(t, fmt.Sprint("activation ", act, what), got.Data, want.Data)
			b.ActivateGrad(got, x, dy, act)
			naive.ActivateGrad(want, x, dy, act)
			g.same(t, fmt.Sprint("slope ", act, what), got.Data, want.Data)
			inPlace := clone(x)
			b.Activate(inPlace, inPlace, act)
			naive.Activate(x, x, act)
			g.same(t, fmt.Sprint("in place ", act, what), inPlace.Data, x.Data)
		}
	})
}

func testFinish(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		x, res := g.wide(g.Tensor(r, c, 3)), g.Tensor(r, c, 1)
		for act := range backend.Activation(backend.Activations) {
			ep := backend.Epilogue{Bias: g.maybe(c), Act: act, Alpha: g.Vector(c), Inverse: g.Vector(c), Scale: g.maybe(c)}
			if g.IntN(2) == 0 {
				ep.Residual = res
			}
			got := g.poisoned(r, c, 2)
			want := clone(got)
			b.Finish(got, x, ep)
			naive.Finish(want, x, ep)
			g.same(t, fmt.Sprint("epilogue ", act, what), got.Data, want.Data)
		}
	})
}

func testAdd(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		x, z := g.wide(g.Tensor(r, c, 3)), g.Tensor(r, c, 1)
		got := g.poisoned(r, c, 2)
		want := clone(got)
		b.Add(got, x, z)
		naive.Add(want, x, z)
		g.same(t, "Add "+what, got.Data, want.Data)
		scale := g.Vector(c)
		for _, res := range []*backend.Tensor{nil, z} {
			b.ScaleAdd(got, x, scale, res)
			naive.ScaleAdd(want, x, scale, res)
			g.same(t, "ScaleAdd "+what, got.Data, want.Data)
		}
	})
}

func testColumnSum(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		x := g.Tensor(r, c, 3)
		for _, z := range []*backend.Tensor{nil, g.Tensor(r, c, 1)} {
			got := g.Vector(c)
			want := append([]float32(nil), got...)
			b.ColumnSum(got, x, z)
			naive.ColumnSum(want, x, z)
			g.same(t, what, got, want)
		}
	})
}

func testDepthwiseConv(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		taps, dilation := 1+g.IntN(8), 1+g.IntN(3)
		x := g.Tensor(r+(taps-1)*dilation, c, g.IntN(4))
		w, bias := g.Vector(taps*c), g.maybe(c)
		got := g.poisoned(r, c, 2)
		want := clone(got)
		b.DepthwiseConv(got, x, w, bias, taps, dilation)
		naive.DepthwiseConv(want, x, w, bias, taps, dilation)
		g.same(t, what, got.Data, want.Data)

		dy, dw := g.Tensor(r, c, 1), g.Vector(taps*c)
		wantW := append([]float32(nil), dw...)
		b.DepthwiseConvGradWeights(dw, x, dy, taps, dilation)
		naive.DepthwiseConvGradWeights(wantW, x, dy, taps, dilation)
		g.same(t, "gradient "+what, dw, wantW)
	})
}

func testLayerNorm(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		x, dy := g.Tensor(r, c, 3), g.Tensor(r, c, 1)
		gamma, beta := g.maybe(c), g.maybe(c)
		got := g.poisoned(r, c, 2)
		want := clone(got)
		b.LayerNorm(got, x, gamma, beta, 1e-6)
		naive.LayerNorm(want, x, gamma, beta, 1e-6)
		g.same(t, what, got.Data, want.Data)

		dgamma, dbeta := g.maybe(c), g.maybe(c)
		wantG, wantB := append([]float32(nil), dgamma...), append([]float32(nil), dbeta...)
		b.LayerNormGrad(got, dgamma, dbeta, x, dy, gamma, 1e-6)
		naive.LayerNormGrad(want, wantG, wantB, x, dy, gamma, 1e-6)
		g.same(t, "dx "+what, got.Data, want.Data)
		g.same(t, "dgamma "+what, dgamma, wantG)
		g.same(t, "dbeta "+what, dbeta, wantB)
	})
}

func testAdamW(t *testing.T, b backend.Backend, g Gen) {
	for step, n := range []int{1, 15, 16, 100, 20_001} {
		var got, want [4][]float32
		for i := range got {
			got[i] = g.Vector(n)
			if i == 3 {
				for k := range got[i] {
					got[i][k] *= got[i][k] // second moments are not negative
				}
			}
			want[i] = append([]float32(nil), got[i]...)
		}
		a := backend.AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.01, Scale: 0.7, Step: step + 1}
		b.AdamWStep(got[0], got[1], got[2], got[3], a)
		naive.AdamWStep(want[0], want[1], want[2], want[3], a)
		for i := range got {
			g.same(t, fmt.Sprint("array ", i), got[i], want[i])
		}
	}
}

func testGather(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		table := g.Tensor(7, c, 0)
		codes := make([]int32, r)
		for i := range codes {
			codes[i] = int32(g.IntN(7))
		}
		got := g.poisoned(r, c, 2)
		want := clone(got)
		b.Gather(got, table, codes)
		naive.Gather(want, table, codes)
		g.same(t, what, got.Data, want.Data)
	})
}

func testSpectra(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		c += c % 2
		x := g.wide(g.Tensor(r, c, 3))
		got, m := g.poisoned(r, c, 2), g.poisoned(r, c, 0)
		want, wantM := clone(got), clone(m)
		b.CompressPairs(got, m, x, 1e-7)
		naive.CompressPairs(want, wantM, x, 1e-7)
		g.same(t, "CompressPairs "+what, got.Data, want.Data)
		g.same(t, "its magnitudes "+what, m.Data, wantM.Data)
		b.ExpandPairs(got, x, 0.05)
		naive.ExpandPairs(want, x, 0.05)
		g.same(t, "ExpandPairs "+what, got.Data, want.Data)
	})
}

func testPolar(t *testing.T, b backend.Backend, g Gen) {
	polar, ok := b.(backend.Polar)
	if !ok {
		t.Skip("leaves it to the host")
	}
	cases(g, func(r, c int, what string) {
		c += c % 2
		x := g.Tensor(r, c, 3)
		for t := range r {
			for k := c / 2; k < c; k++ {
				x.Row(t)[k] *= 20 // phases of many turns
			}
		}
		got := g.poisoned(r, c, 2)
		want := clone(got)
		polar.Complex(got, x, 1.5)
		naive.Complex(want, x, 1.5)
		g.same(t, what, got.Data, want.Data)
		for t := range r { // the formula in float64 bounds the reference
			for k := range c / 2 {
				m := min(math.Exp(float64(x.Row(t)[k])), 1.5)
				sin, cos := math.Sincos(float64(x.Row(t)[c/2+k]))
				want.Row(t)[2*k], want.Row(t)[2*k+1] = float32(m*cos), float32(m*sin)
			}
		}
		g.tolerance = 1e-6
		g.within(t, "formula "+what, got.Data, want.Data, 1.5)
	})
}

// The formula in float64 bounds the reference.
func testCompressedMagnitudes(t *testing.T, b backend.Backend, g Gen) {
	x := g.Tensor(20, 40, 0)
	y, m := clone(x), clone(x)
	naive.CompressPairs(y, m, x, 1e-7)
	for i := 0; i < len(x.Data); i += 2 {
		re, im := float64(x.Data[i]), float64(x.Data[i+1])
		p := re*re + im*im + 1e-7
		f := math.Pow(p, -3.0/8)
		for k, want := range []float64{re * f, im * f} {
			if got := float64(y.Data[i+k]); math.Abs(got-want) > 1e-6*math.Abs(want) {
				t.Fatalf("(%g, %g) becomes %g, want %g", re, im, got, want)
			}
		}
		if got := float64(m.Data[i]); math.Abs(got-math.Sqrt(p)) > 1e-6*got || m.Data[i] != m.Data[i+1] {
			t.Fatalf("the magnitude of (%g, %g) is %g", re, im, got)
		}
	}
}
