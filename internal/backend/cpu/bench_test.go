package cpu_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
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
