package dsp

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	dspfft "github.com/mjibson/go-dsp/fft"
	"github.com/mjibson/go-dsp/window"
	"gonum.org/v1/gonum/dsp/fourier"
)

var fftSizes = []int{2, 4, 6, 8, 10, 12, 20, 30, 32, 64, 120, 128, 240, 256, 320, 512, 600, 640, 900, 1024, 1280, 2048}

func noise(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func TestForwardEqualsDoublePrecisionOracles(t *testing.T) {
	for _, n := range fftSizes {
		f, err := NewRealFFT(n)
		if err != nil {
			t.Fatal(err)
		}
		x := noise(n, uint64(n))
		wide := make([]float64, n)
		for i, v := range x {
			wide[i] = float64(v)
		}
		re, im := make([]float32, f.Bins()), make([]float32, f.Bins())
		f.Forward(re, im, x)
		gonum := fourier.NewFFT(n).Coefficients(nil, wide)
		godsp := dspfft.FFTReal(wide)
		bound := 4e-7 * math.Sqrt(float64(n)) * math.Log2(float64(n)+1)
		for k := range re {
			for name, want := range map[string]complex128{"gonum": gonum[k], "go-dsp": godsp[k]} {
				if d := math.Hypot(float64(re[k])-real(want), float64(im[k])-imag(want)); d > bound {
					t.Fatalf("n=%d bin %d: differs from %s by %g, bound %g", n, k, name, d, bound)
				}
			}
		}
	}
}

func TestInverseUndoesForward(t *testing.T) {
	for _, n := range fftSizes {
		f, _ := NewRealFFT(n)
		x, y := noise(n, 7), make([]float32, n)
		re, im := make([]float32, f.Bins()), make([]float32, f.Bins())
		f.Forward(re, im, x)
		f.Inverse(y, re, im)
		for i := range x {
			if math.Abs(float64(x[i]-y[i])) > 3e-6 {
				t.Fatalf("n=%d sample %d: %g became %g", n, i, x[i], y[i])
			}
		}
	}
}

// <F x, g> = <x, Fᵀ g> defines the transpose.
func TestAdjoints(t *testing.T) {
	dot := func(a, b []float32) (s float64) {
		for i := range a {
			s += float64(a[i]) * float64(b[i])
		}
		return s
	}
	for _, n := range fftSizes {
		f, _ := NewRealFFT(n)
		bins := f.Bins()
		x, gr, gi := noise(n, 1), noise(bins, 2), noise(bins, 3)
		re, im, back := make([]float32, bins), make([]float32, bins), make([]float32, n)
		f.Forward(re, im, x)
		f.Adjoint(back, gr, gi)
		if a, b := dot(re, gr)+dot(im, gi), dot(x, back); math.Abs(a-b) > 1e-4*float64(n) {
			t.Errorf("n=%d: <Fx,g> = %g but <x,Fᵀg> = %g", n, a, b)
		}
		f.Inverse(back, gr, gi)
		f.AdjointInverse(re, im, x)
		if a, b := dot(back, x), dot(gr, re)+dot(gi, im); math.Abs(a-b) > 1e-4 {
			t.Errorf("n=%d: <F⁻¹g,x> = %g but <g,F⁻ᵀx> = %g", n, a, b)
		}
	}
}

func TestSizesWithOtherFactorsAreRefused(t *testing.T) {
	for _, n := range []int{-2, 0, 1, 3, 14, 22, 641} {
		if _, err := NewRealFFT(n); err == nil {
			t.Errorf("a plan for %d points was made", n)
		}
	}
}

func TestTurns(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 12, 320, 640, 2048} {
		for k := -n; k <= 2*n; k++ {
			s, c := math.Sincos(2 * math.Pi * float64(k) / float64(n))
			if math.Abs(CosTurn(k, n)-c) > 4e-15 || math.Abs(SinTurn(k, n)-s) > 4e-15 {
				t.Fatalf("turn %d/%d: (%.17g, %.17g), want (%.17g, %.17g)", k, n, CosTurn(k, n), SinTurn(k, n), c, s)
			}
		}
	}
}

// go-dsp's Hann window is symmetric: the periodic one of n samples is the first
// n of its n+1.
func TestHann(t *testing.T) {
	want := window.Hann(641)
	for i, v := range Hann(640) {
		if math.Abs(float64(v)-want[i]) > 6e-8 {
			t.Fatalf("sample %d: %g, want %g", i, v, want[i])
		}
	}
}

func BenchmarkForward(b *testing.B) {
	for _, n := range []int{320, 640, 1024} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f, _ := NewRealFFT(n)
			x, re, im := noise(n, 1), make([]float32, n/2+1), make([]float32, n/2+1)
			for b.Loop() {
				f.Forward(re, im, x)
			}
		})
	}
}
