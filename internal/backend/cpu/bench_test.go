package cpu_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// rate reports the best single run of f, which other processes disturb least,
// in GFLOP/s, and as a share of the peak of one core measured beside it.
func rate(t *testing.B, b *cpu.Backend, flops float64, f func()) {
	f()
	shortest := time.Duration(1 << 62)
	peak := b.Peak()
	for t.Loop() {
		start := time.Now()
		f()
		shortest = min(shortest, time.Since(start))
	}
	peak = max(peak, b.Peak())
	t.ReportMetric(flops/shortest.Seconds()/1e9, "GFLOP/s")
	if peak > 0 {
		t.ReportMetric(100*flops/shortest.Seconds()/peak, "%peak")
	}
}

func backends() map[string]*cpu.Backend {
	m := map[string]*cpu.Backend{}
	for _, path := range cpu.Paths() {
		if path != "portable" {
			m[path+"/1"] = cpu.New(1, cpu.Path(path))
			m[path+"/2"] = cpu.New(2, cpu.Path(path))
		}
	}
	return m
}

func BenchmarkMatMul(t *testing.B) {
	for _, s := range [][3]int{{512, 512, 512}, {1024, 1024, 1024}, {200, 256, 768}, {400, 384, 1152}, {400, 1152, 384}, {1, 384, 1152}, {4, 384, 1152}} {
		for name, b := range backends() {
			t.Run(fmt.Sprintf("%dx%dx%d/%s", s[0], s[1], s[2], name), func(t *testing.B) {
				x, y := b.New(s[0], s[1]), b.New(s[0], s[2])
				w := b.Pack(make([]float32, s[1]*s[2]), s[1], s[2])
				rate(t, b, 2*float64(s[0]*s[1]*s[2]), func() { b.MatMul(y, x, w, backend.Epilogue{}) })
			})
		}
	}
}

func BenchmarkReducedMatMul(t *testing.B) {
	for _, s := range [][3]int{{512, 512, 512}, {256, 384, 1152}, {256, 1152, 384}, {1, 384, 1152}, {1, 1152, 384}, {4, 384, 1152}} {
		for name, b := range backends() {
			for _, p := range []backend.Precision{backend.Float32, backend.BFloat16, backend.Int8} {
				t.Run(fmt.Sprintf("%dx%dx%d/%s/%v", s[0], s[1], s[2], name, p), func(t *testing.B) {
					g := backendtest.NewGen(b, 1)
					x, y := g.Tensor(s[0], s[1], 0), b.New(s[0], s[2])
					w := b.PackReduced(g.Vector(s[1]*s[2]), s[1], s[2], p)
					rate(t, b, 2*float64(s[0]*s[1]*s[2]), func() { b.MatMul(y, x, w, backend.Epilogue{}) })
				})
			}
		}
	}
}

func BenchmarkMatMulTN(t *testing.B) {
	for _, s := range [][3]int{{200, 256, 768}, {800, 384, 1152}, {800, 1152, 384}} {
		for name, b := range backends() {
			t.Run(fmt.Sprintf("%dx%dx%d/%s", s[0], s[1], s[2], name), func(t *testing.B) {
				x, dy, dw := b.New(s[0], s[1]), b.New(s[0], s[2]), b.New(s[1], s[2])
				rate(t, b, 2*float64(s[0]*s[1]*s[2]), func() { b.MatMulTN(dw, x, dy) })
			})
		}
	}
}

func BenchmarkOps(t *testing.B) {
	const rows, cols, taps = 400, 384, 7
	for name, b := range backends() {
		g := backendtest.NewGen(b, 1)
		x, dy := g.Tensor(rows+taps-1, cols, 0), g.Tensor(rows, cols, 0)
		y := b.New(rows, cols)
		xr := &backend.Tensor{Rows: rows, Cols: cols, Stride: cols, Data: x.Data[:rows*cols]}
		v, u := g.Vector(cols), g.Vector(cols)
		w := g.Vector(taps * cols)
		big := make([][]float32, 4)
		for i := range big {
			big[i] = make([]float32, 1<<20)
		}
		packed := b.Pack(big[0], 1024, 1024)
		book, half := b.PackT(g.Vector(1024*64), 1024, 64), make([]float32, 1024)
		z, codes := g.Tensor(rows, 64, 0), make([]int32, rows)
		ops := []struct {
			name   string
			values int
			f      func()
		}{
			{"GELU", rows * cols, func() { b.Activate(y, xr, backend.GELU) }},
			{"SiLU", rows * cols, func() { b.Activate(y, xr, backend.SiLU) }},
			{"GELUGrad", rows * cols, func() { b.ActivateGrad(y, xr, dy, backend.GELU) }},
			{"Add", rows * cols, func() { b.Add(y, xr, dy) }},
			{"ScaleAdd", rows * cols, func() { b.ScaleAdd(y, xr, v, dy) }},
			{"DepthwiseConv", rows * cols, func() { b.DepthwiseConv(y, x, w, v, taps, 1) }},
			{"DepthwiseConvGradWeights", rows * cols, func() { b.DepthwiseConvGradWeights(w, x, dy, taps, 1) }},
			{"LayerNorm", rows * cols, func() { b.LayerNorm(y, xr, v, u, 1e-6) }},
			{"LayerNormGrad", rows * cols, func() { b.LayerNormGrad(y, v, u, xr, dy, v, 1e-6) }},
			{"ColumnSum", rows * cols, func() { b.ColumnSum(u, xr, nil) }},
			{"AdamW", 1 << 20, func() { b.AdamWStep(big[0], big[1], big[2], big[3], backend.AdamW{Scale: 1, Step: 1}) }},
			{"Repack", 1 << 20, func() { b.Repack(packed, big[0], false) }},
			{"RepackT", 1 << 20, func() { b.Repack(packed, big[0], true) }},
			{"Nearest1024x64", rows, func() { b.Nearest(codes, z, book, half) }},
		}
		for _, op := range ops {
			t.Run(op.name+"/"+name, func(t *testing.B) {
				op.f()
				for t.Loop() {
					op.f()
				}
				t.ReportMetric(float64(t.Elapsed().Nanoseconds())/float64(t.N)/float64(op.values), "ns/value")
			})
		}
	}
}

func BenchmarkAttention(t *testing.B) {
	for _, s := range [][3]int{{400, 400, 400}, {400, 8, 128}, {8, 8, 200}} {
		rows, chunk, left := s[0], s[1], s[2]
		const heads, d = 3, 64
		for name, b := range backends() {
			g := backendtest.NewGen(b, 1)
			keys := rows + left
			q, k, v, y := g.Tensor(rows, heads*d, 0), g.Tensor(keys, heads*d, 0), g.Tensor(keys, heads*d, 0), b.New(rows, heads*d)
			from, to := make([]int32, rows), make([]int32, rows)
			var flops float64
			for m := range from {
				from[m], to[m] = int32(m/chunk*chunk), int32(min(keys, m/chunk*chunk+chunk+left))
				flops += 4 * float64(to[m]-from[m]) * heads * d
			}
			t.Run(fmt.Sprintf("%dx%d+%d/%s", rows, left, chunk, name), func(t *testing.B) {
				rate(t, b, flops, func() { b.Attention(y, q, k, v, from, to, heads, 0.125) })
			})
			dq, dk, dv := b.New(rows, heads*d), b.New(keys, heads*d), b.New(keys, heads*d)
			t.Run(fmt.Sprintf("grad/%dx%d+%d/%s", rows, left, chunk, name), func(t *testing.B) {
				rate(t, b, 2.5*flops, func() { b.AttentionGrad(dq, dk, dv, q, k, v, y, y, from, to, heads, 0.125) })
			})
		}
	}
}
