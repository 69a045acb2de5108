package train

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLossGradients compares the slope of each loss along random directions with
// central differences.
func TestLossGradients(t *testing.T) {
	mel, err := NewLogMel(16000, []MelScale{{256, 20}, {128, 12}}, 1e-3)
	if err != nil {
		t.Fatal(err)
	}
	stft, err := NewComplexSTFT([]int{160, 320}, 0.35)
	if err != nil {
		t.Fatal(err)
	}
	intelligibility, err := NewIntelligibility(16000)
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range []Term{mel, stft, Waveform{}, intelligibility} {
		t.Run(term.Name(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			const n = 8000
			x, y := random(rng, n, 0.1), random(rng, n, 0.1)
			for i := range y {
				y[i] += 0.7 * x[i] * float32(1+math.Sin(float64(i)/500))
				x[i] *= float32(1 + math.Sin(float64(i)/300))
			}
			grad := make([]float32, n)
			base := term.Eval(x, y, 1, grad)
			if base <= 0 {
				t.Fatalf("loss of different signals is %g", base)
			}
			none := make([]float32, n)
			if same := term.Eval(x, x, 1, none); same > 5e-2*base {
				t.Errorf("loss of equal signals is %g, of different ones %g", same, base)
			}
			for trial := range 8 {
				// Random, with a part along the gradient so that the slope stands out
				// from the kinks of absolute values.
				dir := random(rng, n, 0.05)
				norm := math.Sqrt(energy(grad) / n)
				for i, g := range grad {
					dir[i] += 0.05 * g / float32(norm)
				}
				var slope float64
				for i, d := range dir {
					slope += float64(d) * float64(grad[i])
				}
				at := func(h float32) float64 {
					z := make([]float32, n)
					for i := range z {
						z[i] = y[i] + h*dir[i]
					}
					return term.Eval(x, z, 1, make([]float32, n))
				}
				const h = 1e-3
				want := (at(h) - at(-h)) / (2 * h)
				if math.Abs(slope-want) > 1e-2*math.Abs(want) {
					t.Errorf("direction %d: gradient gives %g, differences %g", trial, slope, want)
				}
			}
		})
	}
}

func TestFastMath(t *testing.T) {
	for x := 1e-12; x < 1e6; x *= 1.0137 {
		want := math.Log(float64(float32(x)))
		if got := float64(log(float32(x))); math.Abs(got-want) > 4e-7*max(1, math.Abs(want)) {
			t.Fatalf("log(%g) = %g, want %g", x, got, want)
		}
	}
	for x := -60.0; x < 60; x += 0.0173 {
		want := math.Exp(float64(float32(x)))
		if got := float64(exp(float32(x))); math.Abs(got-want) > 1e-5*want {
			t.Fatalf("exp(%g) = %g, want %g", x, got, want)
		}
	}
}
