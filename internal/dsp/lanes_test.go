package dsp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Sixteen frames at once are what each is alone, bit for bit, on every path.
func TestLanesEqualSingleTransforms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	paths := map[string]*kernels{"portable": {}, "best": available()}
	for name, k := range more() {
		paths[name] = k
	}
	for path, k := range paths {
		for _, n := range []int{2, 4, 6, 10, 12, 16, 18, 30, 64, 100, 128, 250, 320, 486, 512, 600, 640, 960, 1024, 1280, 2048} {
			f, err := NewRealFFT(n)
			if err != nil {
				t.Fatal(err)
			}
			single, err := NewRealFFT(n)
			if err != nil {
				t.Fatal(err)
			}
			single.kernels = &kernels{}
			f.kernels = k
			l := f.TakeLanes()
			bins := f.Bins()
			for _, count := range []int{1, 7, 8, 13, 16} {
				hop := 1 + rng.IntN(n)
				x := make([]float32, n+(count-1)*hop)
				window := make([]float32, n)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				for i := range window {
					window[i] = rng.Float32()
				}
				re, im := l.Forward(x, hop, count, window)
				wr, wi, frame := make([]float32, bins), make([]float32, bins), make([]float32, n)
				at := fmt.Sprintf("%s, %d points, %d frames", path, n, count)
				for i := range count {
					for k, w := range window {
						frame[k] = w * x[i*hop+k]
					}
					single.Forward(wr, wi, frame)
					for k := range bins {
						if re[k*Width+i] != wr[k] || im[k*Width+i] != wi[k] {
							t.Fatalf("%s: frame %d bin %d is (%g, %g), want (%g, %g)", at, i, k, re[k*Width+i], im[k*Width+i], wr[k], wi[k])
						}
					}
				}
				// One frame alone uses the kernels where it can.
				f.Forward(frame[:bins], make([]float32, bins), x[:n])
				single.Forward(wr, wi, x[:n])
				if !slices.Equal(frame[:bins], wr) {
					t.Fatalf("%s: a single transform differs", at)
				}
				back := l.Pairs(re, im)
				pairs := make([]float32, count*2*bins)
				l.Scatter(pairs, 2*bins, back, 2*bins, count)
				kept := slices.Concat(re, im)
				if r, i := l.FromPairs(pairs, 2*bins, count); !slices.Equal(slices.Concat(r, i), kept) && count == Width {
					t.Fatalf("%s: pairs do not come back", at)
				}
				re, im = kept[:len(re)], kept[len(re):]
				// Imaginary parts at both ends are ignored.
				for i := range re {
					re[i], im[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
				}
				for name, way := range map[string]struct {
					lanes  func(re, im, window []float32) []float32
					single func(x, re, im []float32)
				}{"inverse": {l.Inverse, single.Inverse}, "adjoint": {l.Adjoint, single.Adjoint}} {
					for _, w := range [][]float32{nil, window} {
						y := way.lanes(re, im, w)
						frames := make([]float32, count*(n+3))
						l.Scatter(frames, n+3, y, n, count)
						for i := range count {
							for k := range bins {
								wr[k], wi[k] = re[k*Width+i], im[k*Width+i]
							}
							way.single(frame, wr, wi)
							for k, v := range frame {
								if w != nil {
									v *= w[k]
								}
								if got := frames[i*(n+3)+k]; got != v {
									t.Fatalf("%s: %s of frame %d sample %d is %g, want %g", at, name, i, k, got, v)
								}
							}
						}
					}
				}
			}
		}
	}
}

func BenchmarkLanes(b *testing.B) {
	for _, n := range []int{128, 320, 512, 640, 1024, 2048} {
		f, err := NewRealFFT(n)
		if err != nil {
			b.Fatal(err)
		}
		x, window := make([]float32, 5*n), Hann(n)
		re, im := make([]float32, f.Bins()), make([]float32, f.Bins())
		b.Run(fmt.Sprintf("%d/single", n), func(b *testing.B) {
			for b.Loop() {
				f.Forward(re, im, x[:n])
			}
		})
		l := f.TakeLanes()
		b.Run(fmt.Sprintf("%d/lanes", n), func(b *testing.B) {
			for b.Loop() {
				l.Forward(x, n/4, Width, window)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/Width, "ns/frame")
		})
	}
}
