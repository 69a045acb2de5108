package train

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/dsp"
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
	phase, err := NewPhase([]int{160, 320})
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range []Term{mel, stft, Waveform{}, intelligibility, phase, Level{}} {
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
				h := float32(1e-3)
				if term == phase {
					h = 1e-4 // its slope is steep where the output has little energy
				}
				want := (at(h) - at(-h)) / (2 * float64(h))
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

// dft is the definition, in float64, of a frame under a Hann window of unit
// energy.
func dft(signal []float32, size, at int) []complex128 {
	window := make([]float64, size)
	var energy float64
	for i := range window {
		window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(size))
		energy += window[i] * window[i]
	}
	bins := make([]complex128, size/2+1)
	for k := range bins {
		for i, w := range window {
			phase := -2 * math.Pi * float64(k*i%size) / float64(size)
			bins[k] += complex(w/math.Sqrt(energy)*float64(signal[at+i]), 0) * cmplx.Exp(complex(0, phase))
		}
	}
	return bins
}

// TestLossValues compares the spectral losses with their definitions in float64.
func TestLossValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n, size, hop = 700, 128, 32
	x, y := random(rng, n, 0.05), random(rng, n, 0.05)
	filters := dsp.MelFilters(16000, size, 12)
	var mel, diff, energy float64
	frames := 0
	for at := 0; at+size <= n; at += hop {
		frames++
		a, b := dft(x, size, at), dft(y, size, at)
		for _, f := range filters {
			var ma, mb float64
			for k, w := range f.Weights {
				ma += float64(w) * cmplx.Abs(a[f.First+k])
				mb += float64(w) * cmplx.Abs(b[f.First+k])
			}
			mel += math.Abs(math.Log(ma+1e-3) - math.Log(mb+1e-3))
		}
		for k := range a {
			compress := func(s complex128) complex128 {
				return s * complex(math.Pow(real(s)*real(s)+imag(s)*imag(s)+1e-5, -0.35), 0)
			}
			ca, cb := compress(a[k]), compress(b[k])
			diff += math.Pow(cmplx.Abs(ca-cb), 2)
			energy += math.Pow(cmplx.Abs(ca), 2)
		}
	}
	// The three anti-wrapping losses of Ai & Ling 2023 by their definitions.
	var px, py, power [][]float64
	for at := 0; at+size <= n; at += hop {
		var a, b, c []float64
		for k, v := range dft(x, size, at) {
			a, b, c = append(a, cmplx.Phase(v)), append(b, cmplx.Phase(dft(y, size, at)[k])), append(c, real(v)*real(v)+imag(v)*imag(v))
		}
		px, py, power = append(px, a), append(py, b), append(power, c)
	}
	antiWrap := func(d float64) float64 { return math.Abs(d - 2*math.Pi*math.Round(d/(2*math.Pi))) }
	weight := func(p float64) float64 { return p / (p + 1e-6) }
	var instantaneous, delay, frequency float64
	for t := range px {
		for k := range px[t] {
			w := weight(power[t][k])
			instantaneous += w * antiWrap(py[t][k]-px[t][k])
			if k > 0 {
				delay += min(w, weight(power[t][k-1])) * antiWrap(py[t][k]-py[t][k-1]-px[t][k]+px[t][k-1])
			}
			if t > 0 {
				frequency += min(w, weight(power[t-1][k])) * antiWrap(py[t][k]-py[t-1][k]-px[t][k]+px[t-1][k])
			}
		}
	}
	bins := size/2 + 1
	phases := instantaneous/float64(frames*bins) + delay/float64(frames*(bins-1)) + frequency/float64((frames-1)*bins)
	phase, err := NewPhase([]int{size})
	if err != nil {
		t.Fatal(err)
	}
	mel /= float64(frames * len(filters))
	count := float64(frames * (size/2 + 1))
	complexLoss := diff / count / (energy/count + 1e-3)
	logMel, err := NewLogMel(16000, []MelScale{{size, 12}}, 1e-3)
	if err != nil {
		t.Fatal(err)
	}
	stft, err := NewComplexSTFT([]int{size}, 0.35)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		term Term
		want float64
	}{{logMel, mel}, {stft, complexLoss}, {phase, phases}} {
		if got := c.term.Eval(x, y, 0, make([]float32, n)); math.Abs(got-c.want) > 1e-5*c.want {
			t.Errorf("%s: %g, want %g", c.term.Name(), got, c.want)
		}
	}
}
