package cpu_test

import (
	"fmt"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// TestOperations holds every kind of kernels of this machine to the bits of package
// ref, with one thread and with three.
func TestOperations(t *testing.T) {
	for _, path := range cpu.Paths() {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", path, threads), func(t *testing.T) {
				backendtest.Run(t, cpu.New(threads, cpu.Path(path)), 0)
			})
		}
	}
}

// manyRows is a number of rows that several threads share, fewer in a short run:
// an emulator takes minutes for more.
func manyRows() int {
	if testing.Short() {
		return 60
	}
	return 300
}

// warmAllocs counts what a warm call allocates.
func warmAllocs(f func()) float64 {
	for range 20 { // every helper finds its scratch memory
		f()
	}
	if testing.Short() {
		return testing.AllocsPerRun(10, f)
	}
	return testing.AllocsPerRun(50, f)
}

// TestWarmAllocatesNothing covers the operations of inference.
func TestWarmAllocatesNothing(t *testing.T) {
	for _, path := range cpu.Paths() {
		if path == "portable" {
			continue // correct, not fast
		}
		for _, threads := range []int{1, 2} {
			for _, rows := range []int{1, manyRows()} {
				b := cpu.New(threads, cpu.Path(path))
				g := backendtest.NewGen(b, 5)
				const c = 256
				x, y, wide := g.Tensor(rows+6, c, 0), b.New(rows, c), b.New(rows, 512)
				xr := &backend.Tensor{Rows: rows, Cols: c, Stride: c, Data: x.Data[:rows*c]}
				v, w7 := g.Vector(512), g.Vector(7*c)
				w, book := b.Pack(g.Vector(c*512), c, 512), b.PackT(g.Vector(64*c), 64, c)
				codes, ends := make([]int32, rows), make([]int32, rows)
				for i := range ends {
					ends[i] = int32(i + 1)
				}
				ep := backend.Epilogue{Bias: v, Act: backend.GELU, Scale: v, Residual: b.New(rows, 512)}
				for name, f := range map[string]func(){
					"MatMul":        func() { b.MatMul(wide, xr, w, ep) },
					"DepthwiseConv": func() { b.DepthwiseConv(y, x, w7, v, 7, 1) },
					"LayerNorm":     func() { b.LayerNorm(y, xr, v, v, 1e-6) },
					"Activate":      func() { b.Activate(y, xr, backend.GELU) },
					"Add":           func() { b.Add(y, xr, y) },
					"ScaleAdd":      func() { b.ScaleAdd(y, xr, v, y) },
					"Attention":     func() { b.Attention(y, xr, xr, xr, codes, ends, 4, 0.1) },
					"Nearest":       func() { b.Nearest(codes, xr, book, v) },
				} {
					if n := warmAllocs(f); n > 0 {
						t.Errorf("%s/%d: %s of %d rows allocates %v times", path, threads, name, rows, n)
					}
				}
			}
		}
	}
}

var reduced = []backend.Precision{backend.BFloat16, backend.Int8}

func TestReducedMisuse(t *testing.T) {
	b := cpu.New(1)
	packed := b.PackReduced(make([]float32, 6), 2, 3, backend.Int8)
	for name, f := range map[string]func(){
		"values":      func() { b.PackReduced(make([]float32, 5), 2, 3, backend.Int8) },
		"too many":    func() { b.PackReduced(make([]float32, backend.MaxInt8+1), backend.MaxInt8+1, 1, backend.Int8) },
		"no such one": func() { b.PackReduced(make([]float32, 6), 2, 3, backend.TF32+1) },
		"columns":     func() { b.MatMul(b.New(4, 3), b.New(4, 3), packed, backend.Epilogue{}) },
		"repacked":    func() { b.Repack(packed, make([]float32, 6), false) },
		"codebook":    func() { b.Nearest(make([]int32, 4), b.New(4, 2), packed, make([]float32, 3)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

// TestReducedAllocatesNothing is TestWarmAllocatesNothing for these products.
func TestReducedAllocatesNothing(t *testing.T) {
	for _, path := range cpu.Paths() {
		if path == "portable" {
			continue // correct, not fast
		}
		for _, threads := range []int{1, 2} {
			for _, rows := range []int{1, manyRows()} {
				for _, p := range reduced {
					b := cpu.New(threads, cpu.Path(path))
					g := backendtest.NewGen(b, 5)
					x, y := g.Tensor(rows, 256, 0), b.New(rows, 500)
					w := b.PackReduced(g.Vector(256*500), 256, 500, p)
					f := func() { b.MatMul(y, x, w, backend.Epilogue{Act: backend.GELU}) }
					if n := warmAllocs(f); n > 0 {
						t.Errorf("%s/%d: %v of %d rows allocates %v times", path, threads, p, rows, n)
					}
				}
			}
		}
	}
}
