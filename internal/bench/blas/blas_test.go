package blas

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

func open(t testing.TB) *Library {
	l, err := Open()
	if err != nil {
		t.Skip(err)
	}
	return l
}

// What is compared is the same product.
func TestProductsAreEqual(t *testing.T) {
	l := open(t)
	rng := rand.New(rand.NewPCG(1, 1))
	device := cpu.New(1)
	for _, s := range []Shape{{1, 7, 5}, {3, 40, 33}, {17, 64, 130}} {
		x, w := make([]float32, s.M*s.K), make([]float32, s.K*s.N)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		wt := make([]float32, len(w))
		for i := range w {
			w[i] = float32(rng.NormFloat64())
			wt[i%s.N*s.K+i/s.N] = w[i]
		}
		y := device.New(s.M, s.N)
		device.MatMul(y, backend.Host(x, s.M, s.K), device.Pack(w, s.K, s.N), backend.Epilogue{})
		got := make([]float32, s.M*s.N)
		check := func(how string) {
			for i, v := range y.Data {
				if math.Abs(float64(v-got[i])) > 1e-4 {
					t.Fatalf("%v %s: value %d is %g, ours %g", s, how, i, got[i], v)
				}
			}
		}
		l.Product(got, x, w, s.M, s.K, s.N, false)
		check("sgemm")
		l.Product(got, x, wt, s.M, s.K, s.N, true)
		check("sgemm transposed")
		if s.M == 1 {
			l.Vector(got, x, w, s.K, s.N, false)
			check("sgemv")
			l.Vector(got, x, wt, s.K, s.N, true)
			check("sgemv transposed")
		}
	}
}

// BenchmarkProducts prints GFLOP/s of both and their ratio:
//
//	go test ./internal/bench/blas -run '^$' -bench Products -benchtime 1x
func BenchmarkProducts(b *testing.B) {
	l := open(b)
	b.Log(l.Config())
	for _, threads := range []int{1, 2} {
		for _, s := range Shapes {
			b.Run(fmt.Sprintf("%dx%dx%d/%d", s.M, s.K, s.N, threads), func(b *testing.B) {
				for b.Loop() {
					rows, err := Compare(context.Background(), l, threads, []Shape{s})
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(rows[0].Ours/1e9, "GFLOP/s")
					b.ReportMetric(rows[0].Peer/1e9, "OpenBLAS")
					b.ReportMetric(rows[0].Ratio, "ratio")
					b.ReportMetric(100*rows[0].Peak, "%peak")
				}
			})
		}
	}
}
