package entropy

import (
	"math/rand/v2"
	"testing"
)

func TestMatrixEqualsNaiveSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		in, out := 1+rng.IntN(70), 1+rng.IntN(70)
		w := make([]int16, in*out)
		x, start, y := vector(in), make([]int32, out), make([]int32, out)
		for i := range w {
			w[i] = int16(rng.IntN(1<<16) - 1<<15)
		}
		for i := range x {
			x[i] = int16(rng.IntN(1<<10) - 1<<9)
		}
		for i := range start {
			start[i] = int32(rng.IntN(1<<20) - 1<<19)
		}
		m := newMatrix(w, in, out)
		m.add(y, start, x, make([]term, in))
		for n := range out {
			want := start[n]
			for k := range in {
				want += int32(w[k*out+n]) * int32(x[k])
			}
			if y[n] != want {
				t.Fatalf("[%d, %d]: column %d is %d, want %d", in, out, n, y[n], want)
			}
		}
	}
}

func BenchmarkMatrix(b *testing.B) {
	w := make([]int16, 192*64)
	x, y := vector(192), make([]int32, 64)
	for i := range w {
		w[i] = int16(i * 77)
	}
	for i := range x {
		x[i] = int16(i % 99)
	}
	m, terms := newMatrix(w, 192, 64), make([]term, 192)
	for b.Loop() {
		m.add(y, y, x, terms)
	}
	b.ReportMetric(float64(len(w))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
