package train

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLossKernels holds the losses and their gradients by each set of kernels to
// those of portable Go.
func TestLossKernels(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	n := 5003 // not a whole number of lanes
	x, y := random(rng, n, 0.1), random(rng, n, 0.1)
	for i := range 1500 { // silence
		x[i], y[i] = 0, 0.01*y[i]
	}
	mel, err := NewLogMel(16000, DefaultCodecConfig().MelScales, 1e-3)
	if err != nil {
		t.Fatal(err)
	}
	stft, err := NewComplexSTFT([]int{640, 256}, 0.35)
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range []Term{mel, stft} {
		eval := func(k *kernels) (float64, []float32) {
			for i := range mel.scales {
				mel.scales[i].kernels = k
			}
			for _, a := range stft.scales {
				a.kernels = k
			}
			grad := make([]float32, n)
			return term.Eval(x, y, 1, grad), grad
		}
		want, slopes := eval(&kernels{})
		size := math.Sqrt(energy(slopes) / float64(n))
		for i, k := range sets() {
			got, grad := eval(k)
			if math.Abs(got-want) > 1e-5*want {
				t.Errorf("%s by set %d is %g, want %g", term.Name(), i, got, want)
			}
			for j, g := range grad {
				if math.Abs(float64(g-slopes[j])) > 1e-4*size {
					t.Fatalf("%s by set %d: slope %d is %g, want %g of %g", term.Name(), i, j, g, slopes[j], size)
				}
			}
			if i > 0 {
				_, first := eval(sets()[0])
				for j := range grad {
					if grad[j] != first[j] {
						t.Fatalf("%s: slope %d depends on the set of kernels", term.Name(), j)
					}
				}
			}
		}
	}
}

func TestAddKernels(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, k := range append(sets(), &kernels{}) {
		for _, n := range []int{0, 1, 15, 16, 50, 4096, 9001} {
			y, x := random(rng, n+1, 1), random(rng, n+1, 1)
			want := append([]float32(nil), y...)
			var squares float64
			for i := range n {
				want[i] += x[i]
				squares += float64(want[i]) * float64(want[i])
			}
			if got := k.add(y[:n], x[:n]); math.Abs(got-squares) > 1e-5*squares {
				t.Errorf("%d sums have energy %g, want %g", n, got, squares)
			}
			for i := range y {
				if y[i] != want[i] {
					t.Fatalf("sum %d of %d is %g, want %g", i, n, y[i], want[i])
				}
			}
		}
	}
}
