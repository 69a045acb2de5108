package cpu_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// cases runs f on shapes that include empty ones, one row and odd sizes.
func cases(t *testing.T, f func(b *cpu.Backend, g gen, rows, cols int, what string)) {
	onEach(t, func(t *testing.T, b *cpu.Backend, g gen) {
		n := 60
		if testing.Short() {
			n = 20
		}
		for i := range n {
			r, c := g.size(300), g.size(400)
			switch i {
			case 0:
				r = 0
			case 1:
				r = 1
			case 2:
				r, c = 256, 512
			}
			f(b, g, r, c, fmt.Sprintf("[%d, %d]", r, c))
		}
	})
}

// wide scatters some values of a tensor over the whole range of floats.
func (g gen) wide(t *backend.Tensor) *backend.Tensor {
	for i := range t.Data {
		switch g.IntN(8) {
		case 0:
			t.Data[i] *= float32(math.Exp(g.NormFloat64() * 10))
		case 1:
			t.Data[i] *= 20
		}
	}
	special := []float32{nan, float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1)), 1e-40, -1e-45, 88.5, -88.5, 3e38}
	if n := len(t.Data); n > 0 {
		for _, v := range special {
			t.Data[g.IntN(n)] = v
		}
	}
	return t
}

func TestActivate(t *testing.T) {
	cases(t, func(b *cpu.Backend, g gen, r, c int, what string) {
		for act := backend.Identity; act < backend.Snake; act++ {
			x, dy := g.wide(g.tensor(r, c, 3)), g.tensor(r, c, 1)
			got := poisoned(r, c, 2)
			want := clone(got)
			b.Activate(got, x, act)
			naive.Activate(want, x, act)
			sameBits(t, fmt.Sprint("activation ", act, what), got.Data, want.Data)
			b.ActivateGrad(got, x, dy, act)
			naive.ActivateGrad(want, x, dy, act)
			sameBits(t, fmt.Sprint("slope ", act, what), got.Data, want.Data)
			inPlace := clone(x)
			b.Activate(inPlace, inPlace, act)
			naive.Activate(x, x, act)
			sameBits(t, fmt.Sprint("in place ", act, what), inPlace.Data, x.Data)
		}
	})
}

func TestFinish(t *testing.T) {
	cases(t, func(b *cpu.Backend, g gen, r, c int, what string) {
		x, res := g.wide(g.tensor(r, c, 3)), g.tensor(r, c, 1)
		for act := range backend.Activation(backend.Activations) {
			ep := backend.Epilogue{Bias: g.maybe(c), Act: act, Alpha: g.vector(c), Inverse: g.vector(c), Scale: g.maybe(c)}
			if g.IntN(2) == 0 {
				ep.Residual = res
			}
			got := poisoned(r, c, 2)
			want := clone(got)
			b.Finish(got, x, ep)
			naive.Finish(want, x, ep)
			sameBits(t, fmt.Sprint("epilogue ", act, what), got.Data, want.Data)
		}
	})
}

func TestAdd(t *testing.T) {
	cases(t, func(b *cpu.Backend, g gen, r, c int, what string) {
		x, z := g.wide(g.tensor(r, c, 3)), g.tensor(r, c, 1)
		got := poisoned(r, c, 2)
		want := clone(got)
		b.Add(got, x, z)
		naive.Add(want, x, z)
		sameBits(t, "Add "+what, got.Data, want.Data)
		scale := g.vector(c)
		for _, res := range []*backend.Tensor{nil, z} {
			b.ScaleAdd(got, x, scale, res)
			naive.ScaleAdd(want, x, scale, res)
			sameBits(t, "ScaleAdd "+what, got.Data, want.Data)
		}
	})
}

func TestColumnSum(t *testing.T) {
	cases(t, func(b *cpu.Backend, g gen, r, c int, what string) {
		x := g.tensor(r, c, 3)
		for _, z := range []*backend.Tensor{nil, g.tensor(r, c, 1)} {
			got := g.vector(c)
			want := append([]float32(nil), got...)
			b.ColumnSum(got, x, z)
			naive.ColumnSum(want, x, z)
			sameBits(t, what, got, want)
		}
	})
}

func TestDepthwiseConv(t *testing.T) {
	cases(t, func(b *cpu.Backend, g gen, r, c int, what string) {
		taps, dilation := 1+g.IntN(8), 1+g.IntN(3)
		x := g.tensor(r+(taps-1)*dilation, c, g.IntN(4))
		w, bias := g.vector(taps*c), g.maybe(c)
		got := poisoned(r, c, 2)
		want := clone(got)
		b.DepthwiseConv(got, x, w, bias, taps, dilation)
		naive.DepthwiseConv(want, x, w, bias, taps, dilation)
		sameBits(t, what, got.Data, want.Data)

		dy, dw := g.tensor(r, c, 1), g.vector(taps*c)
		wantW := append([]float32(nil), dw...)
		b.DepthwiseConvGradWeights(dw, x, dy, taps, dilation)
		naive.DepthwiseConvGradWeights(wantW, x, dy, taps, dilation)
		sameBits(t, "gradient "+what, dw, wantW)
	})
}

func TestLayerNorm(t *testing.T) {
	cases(t, func(b *cpu.Backend, g gen, r, c int, what string) {
		x, dy := g.tensor(r, c, 3), g.tensor(r, c, 1)
		gamma, beta := g.maybe(c), g.maybe(c)
		got := poisoned(r, c, 2)
		want := clone(got)
		b.LayerNorm(got, x, gamma, beta, 1e-6)
		naive.LayerNorm(want, x, gamma, beta, 1e-6)
		sameBits(t, what, got.Data, want.Data)

		dgamma, dbeta := g.maybe(c), g.maybe(c)
		wantG, wantB := append([]float32(nil), dgamma...), append([]float32(nil), dbeta...)
		b.LayerNormGrad(got, dgamma, dbeta, x, dy, gamma, 1e-6)
		naive.LayerNormGrad(want, wantG, wantB, x, dy, gamma, 1e-6)
		sameBits(t, "dx "+what, got.Data, want.Data)
		sameBits(t, "dgamma "+what, dgamma, wantG)
		sameBits(t, "dbeta "+what, dbeta, wantB)
	})
}

func TestAdamW(t *testing.T) {
	onEach(t, func(t *testing.T, b *cpu.Backend, g gen) {
		for step, n := range []int{1, 15, 16, 100, 20_001} {
			var got, want [4][]float32
			for i := range got {
				got[i] = g.vector(n)
				if i == 3 {
					for k := range got[i] {
						got[i][k] *= got[i][k] // second moments are not negative
					}
				}
				want[i] = append([]float32(nil), got[i]...)
			}
			a := backend.AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.01, Step: step + 1}
			b.AdamWStep(got[0], got[1], got[2], got[3], a)
			naive.AdamWStep(want[0], want[1], want[2], want[3], a)
			for i := range got {
				sameBits(t, fmt.Sprint("array ", i), got[i], want[i])
			}
		}
	})
}

func TestGather(t *testing.T) {
	cases(t, func(b *cpu.Backend, g gen, r, c int, what string) {
		table := g.tensor(7, c, 0)
		codes := make([]int32, r)
		for i := range codes {
			codes[i] = int32(g.IntN(7))
		}
		got := poisoned(r, c, 2)
		want := clone(got)
		b.Gather(got, table, codes)
		naive.Gather(want, table, codes)
		sameBits(t, what, got.Data, want.Data)
	})
}

func TestSpectra(t *testing.T) {
	cases(t, func(b *cpu.Backend, g gen, r, c int, what string) {
		c += c % 2
		x := g.wide(g.tensor(r, c, 3))
		got, m := poisoned(r, c, 2), poisoned(r, c, 0)
		want, wantM := clone(got), clone(m)
		b.CompressPairs(got, m, x, 1e-7)
		naive.CompressPairs(want, wantM, x, 1e-7)
		sameBits(t, "CompressPairs "+what, got.Data, want.Data)
		sameBits(t, "its magnitudes "+what, m.Data, wantM.Data)
		b.ExpandPairs(got, x, 0.05)
		naive.ExpandPairs(want, x, 0.05)
		sameBits(t, "ExpandPairs "+what, got.Data, want.Data)
	})
}

// The formula in float64 bounds the reference.
func TestCompressedMagnitudes(t *testing.T) {
	g := newGen(3)
	x := g.tensor(20, 40, 0)
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
