package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

func testGroupNorm(t *testing.T, b backend.Backend, g Gen) {
	long := !g.once // a minute of sound is longer than what some devices take at once
	cases(g, func(r, c int, what string) {
		if long {
			r, c, long = 100_001, 3, false
		}
		groups := 1 + g.IntN(4)
		c = (c + groups - 1) / groups * groups
		x := g.Tensor(r, c, 3)
		gamma, beta := g.maybe(c), g.maybe(c)
		got := g.poisoned(r, c, 2)
		want := clone(got)
		b.GroupNorm(got, x, groups, gamma, beta, 1e-5)
		naive.GroupNorm(want, x, groups, gamma, beta, 1e-5)
		g.same(t, fmt.Sprint(groups, " groups ", what), got.Data, want.Data)

		// The definition, in float64.
		width := c / groups
		for k := range groups {
			var mean, variance float64
			n := float64(r * width)
			for i := range r {
				for _, v := range x.Row(i)[k*width : (k+1)*width] {
					mean += float64(v) / n
				}
			}
			for i := range r {
				for _, v := range x.Row(i)[k*width : (k+1)*width] {
					variance += (float64(v) - mean) * (float64(v) - mean) / n
				}
			}
			for i := range r {
				for j := k * width; j < (k+1)*width; j++ {
					y := (float64(x.Row(i)[j]) - mean) / math.Sqrt(variance+1e-5)
					size := math.Abs(y) + 1
					if gamma != nil {
						y *= float64(gamma[j])
						size *= math.Abs(float64(gamma[j])) + 1
					}
					if beta != nil {
						y += float64(beta[j])
						size += math.Abs(float64(beta[j]))
					}
					if d := math.Abs(float64(got.Row(i)[j]) - y); d > 2e-6*size*(1+math.Abs(mean)/math.Sqrt(variance+1e-5)) {
						t.Fatalf("%s: off by %g of %g", what, d, size)
					}
				}
			}
		}
	})
}

func testRMSNorm(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		x, gamma := g.Tensor(r, c, 3), g.maybe(c)
		got := g.poisoned(r, c, 2)
		want := clone(got)
		b.RMSNorm(got, x, gamma, 1e-5)
		naive.RMSNorm(want, x, gamma, 1e-5)
		g.same(t, what, got.Data, want.Data)
		for i := range r {
			var square float64
			for _, v := range x.Row(i) {
				square += float64(v) * float64(v)
			}
			for j, v := range x.Row(i) {
				y := float64(v) / math.Sqrt(square/float64(c)+1e-5)
				if gamma != nil {
					y *= float64(gamma[j])
				}
				if d := math.Abs(float64(got.Row(i)[j]) - y); d > 1e-6*(math.Abs(y)+1e-3) {
					t.Fatalf("%s: %g, want %g", what, got.Row(i)[j], y)
				}
			}
		}
	})
}

func testLSTMCell(t *testing.T, b backend.Backend, g Gen) {
	cases(g, func(r, c int, what string) {
		gates, state := g.Tensor(r, 4*c, 3), g.Tensor(r, c, 1)
		wantG, wantC := clone(gates), clone(state)
		h := g.poisoned(r, c, 2)
		wantH := clone(h)
		b.LSTMCell(h, state, gates)
		naive.LSTMCell(wantH, wantC, wantG)
		g.same(t, "h "+what, h.Data, wantH.Data)
		g.same(t, "c "+what, state.Data, wantC.Data)
	})
}

// testRotate holds Rotate to its formula in float64; back undoes it.
func testRotate(t *testing.T, b backend.Backend, g Gen) {
	rotator, ok := b.(backend.Rotator)
	if !ok {
		t.Skip("leaves it to the host")
	}
	cases(g, func(r, c int, what string) {
		heads := 1 + g.IntN(3)
		half := (c + 1) / 2
		x := g.Tensor(r, 2*half*heads, 2)
		cos, sin := make([]float32, r*half), make([]float32, r*half)
		for i := range cos {
			s, c := math.Sincos(2 * math.Pi * g.Float64())
			cos[i], sin[i] = float32(c), float32(s)
		}
		got := g.poisoned(r, x.Cols, 1)
		want := clone(got)
		way := backend.Rotation{Adjacent: g.IntN(2) == 0}
		for t := range r {
			for h := range heads {
				for k := range half {
					at, other := 2*h*half+k, 2*h*half+half+k
					if way.Adjacent {
						at, other = 2*(h*half+k), 2*(h*half+k)+1
					}
					p, q := float64(x.Row(t)[at]), float64(x.Row(t)[other])
					c, s := float64(cos[t*half+k]), float64(sin[t*half+k])
					want.Row(t)[at], want.Row(t)[other] = float32(p*c-q*s), float32(q*c+p*s)
				}
			}
		}
		g.tolerance = 1e-6
		rotator.Rotate(got, x, cos, sin, half, way)
		g.within(t, what, got.Data, want.Data, 5)
		way.Back = true
		rotator.Rotate(got, got, cos, sin, half, way)
		for t := range r {
			copy(want.Row(t), x.Row(t))
		}
		g.within(t, "back "+what, got.Data, want.Data, 5)
	})
}
