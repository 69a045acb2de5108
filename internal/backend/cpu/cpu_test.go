package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

var nan = float32(math.NaN())

// gen makes random operands.
type gen struct{ *rand.Rand }

func newGen(seed uint64) gen { return gen{rand.New(rand.NewPCG(seed, 1))} }

func (g gen) vector(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(g.NormFloat64())
	}
	return v
}

// maybe makes a vector or nil.
func (g gen) maybe(n int) []float32 {
	if g.IntN(2) == 0 {
		return nil
	}
	return g.vector(n)
}

// size gives small sizes, and now and then one past the blocks of the kernels.
func (g gen) size(most int) int {
	if g.IntN(4) == 0 {
		return 1 + g.IntN(most)
	}
	return 1 + g.IntN(min(most, 40))
}

// tensor makes a matrix whose rows lie extra values apart; a negative extra
// makes them overlap.
func (g gen) tensor(rows, cols, extra int) *backend.Tensor {
	stride := max(cols+extra, 1)
	return &backend.Tensor{Rows: rows, Cols: cols, Stride: stride, Data: g.vector(max(rows-1, 0)*stride + cols)}
}

// poisoned makes an output full of NaN, with a gap between rows.
func poisoned(rows, cols, extra int) *backend.Tensor {
	t := &backend.Tensor{Rows: rows, Cols: cols, Stride: cols + extra, Data: make([]float32, max(rows-1, 0)*(cols+extra)+cols)}
	for i := range t.Data {
		t.Data[i] = nan
	}
	return t
}

func clone(t *backend.Tensor) *backend.Tensor {
	if t == nil {
		return nil
	}
	c := *t
	c.Data = append([]float32(nil), t.Data...)
	return &c
}

// sameBits fails unless got and want are the same bits (any NaN equals any).
// Tensors are compared by storage, so that writes between rows show.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		a, b := math.Float32bits(got[i]), math.Float32bits(want[i])
		if a != b && !(got[i] != got[i] && want[i] != want[i]) {
			t.Fatalf("%s: value %d is %v (%#x), want %v (%#x)", what, i, got[i], a, want[i], b)
		}
	}
}

// onEach runs a test for every kind of kernels of this machine, with one thread
// and with three.
func onEach(t *testing.T, f func(t *testing.T, b *cpu.Backend, g gen)) {
	for _, path := range cpu.Paths() {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", path, threads), func(t *testing.T) {
				f(t, cpu.New(threads, cpu.Path(path)), newGen(7))
			})
		}
	}
}

var naive ref.Backend

func TestMatMul(t *testing.T) {
	onEach(t, func(t *testing.T, b *cpu.Backend, g gen) {
		for i := range 60 {
			m, k, n := g.size(250), g.size(600), g.size(130)
			switch i {
			case 0:
				m = 0
			case 1:
				k = 0
			case 2:
				m, k, n = 5, 512, 256 // rows on the same cache sets
			case 3, 4:
				m = i - 2
				n = 300
			}
			extra := g.IntN(12) - 8
			if i == 2 {
				extra = 0
			}
			x := g.tensor(m, k, extra)
			w := g.vector(k * n)
			ep := backend.Epilogue{Bias: g.maybe(n), Act: backend.Activation(g.IntN(3)), Scale: g.maybe(n)}
			if g.IntN(2) == 0 {
				ep.Residual = g.tensor(m, n, g.IntN(3))
			}
			got := poisoned(m, n, g.IntN(3))
			want := clone(got)
			if i%2 == 0 {
				b.MatMul(got, x, b.Pack(w, k, n), ep)
				naive.MatMul(want, x, naive.Pack(w, k, n), ep)
			} else {
				b.MatMul(got, x, b.PackT(w, n, k), ep)
				naive.MatMul(want, x, naive.PackT(w, n, k), ep)
			}
			sameBits(t, fmt.Sprintf("[%d, %d]·[%d, %d] stride %d", m, k, k, n, x.Stride), got.Data, want.Data)
		}
	})
}

func TestMatMulTN(t *testing.T) {
	onEach(t, func(t *testing.T, b *cpu.Backend, g gen) {
		for i := range 40 {
			m, k, n := g.size(600), g.size(130), g.size(130)
			if i == 0 {
				m = 0
			}
			x, dy := g.tensor(m, k, g.IntN(12)-8), g.tensor(m, n, g.IntN(3))
			got := g.tensor(k, n, g.IntN(3))
			want := clone(got)
			b.MatMulTN(got, x, dy)
			naive.MatMulTN(want, x, dy)
			sameBits(t, fmt.Sprintf("[%d, %d]ᵀ·[%d, %d]", m, k, m, n), got.Data, want.Data)
		}
	})
}

func TestNearest(t *testing.T) {
	onEach(t, func(t *testing.T, b *cpu.Backend, g gen) {
		for range 20 {
			m, d, n := g.size(100), g.size(40), g.size(300)
			x := g.tensor(m, d, 0)
			book := g.vector(n * d)
			copy(book[n/2*d:], book[:n/4*d]) // ties
			half := make([]float32, n)
			for i := range half {
				for _, v := range book[i*d : i*d+d] {
					half[i] += v * v / 2
				}
			}
			got, want := make([]int32, m), make([]int32, m)
			b.Nearest(got, x, b.PackT(book, n, d), half)
			naive.Nearest(want, x, naive.PackT(book, n, d), half)
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("row %d: code %d, want %d", i, got[i], want[i])
				}
			}
		}
	})
}

// TestMatMulBound holds the sums, and those of the gradient, to their float64
// values.
func TestMatMulBound(t *testing.T) {
	onEach(t, func(t *testing.T, b *cpu.Backend, g gen) {
		const m, k, n = 37, 700, 70
		x, w, dy := g.tensor(m, k, 0), g.tensor(k, n, 0), g.tensor(m, n, 0)
		y, dw := b.New(m, n), b.New(k, n)
		b.MatMul(y, x, b.Pack(w.Data, k, n), backend.Epilogue{})
		b.MatMulTN(dw, x, dy)
		near := func(got float32, terms int, a, b func(i int) float32) {
			var sum, size float64
			for i := range terms {
				p := float64(a(i)) * float64(b(i))
				sum += p
				size += math.Abs(p)
			}
			if math.Abs(float64(got)-sum) > 1e-5*size {
				t.Fatalf("sum %v, want %v", got, sum)
			}
		}
		for j := range n {
			for i := range m {
				near(y.Row(i)[j], k, func(l int) float32 { return x.Row(i)[l] }, func(l int) float32 { return w.Row(l)[j] })
			}
			for i := range k {
				near(dw.Row(i)[j], m, func(l int) float32 { return x.Row(l)[i] }, func(l int) float32 { return dy.Row(l)[j] })
			}
		}
	})
}

// TestRowsAlone checks that a row does not depend on the rows beside it, which
// is what makes chunks equal the whole.
func TestRowsAlone(t *testing.T) {
	onEach(t, func(t *testing.T, b *cpu.Backend, g gen) {
		const rows, k, n = 53, 200, 160
		x, v := g.tensor(rows, k, 0), g.vector(n)
		w := b.Pack(g.vector(k*n), k, n)
		ep := backend.Epilogue{Bias: v, Act: backend.GELU, Scale: v}
		whole := b.New(rows, n)
		b.MatMul(whole, x, w, ep)
		for lo := 0; lo < rows; {
			hi := min(rows, lo+1+g.IntN(6))
			part := poisoned(hi-lo, n, 0)
			b.MatMul(part, backend.Host(x.Data[lo*k:], hi-lo, k), w, ep)
			sameBits(t, fmt.Sprintf("rows %d to %d", lo, hi), part.Data, whole.Data[lo*n:hi*n])
			lo = hi
		}
	})
}

// TestConcurrentCalls runs products from several goroutines on one backend.
func TestConcurrentCalls(t *testing.T) {
	b := cpu.New(3)
	g := newGen(3)
	const m, k, n = 120, 64, 512
	x, w := g.tensor(m, k, 0), b.Pack(g.vector(k*n), k, n)
	want := b.New(m, n)
	b.MatMul(want, x, w, backend.Epilogue{Act: backend.SiLU})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got := b.New(m, n)
			for range 10 {
				b.MatMul(got, x, w, backend.Epilogue{Act: backend.SiLU})
				if !slices.Equal(got.Data, want.Data) {
					t.Error("another result")
					return
				}
			}
		})
	}
	wg.Wait()
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
				b, g := cpu.New(threads, cpu.Path(path)), newGen(5)
				const c = 256
				x, y, wide := g.tensor(rows+6, c, 0), b.New(rows, c), b.New(rows, 512)
				xr := &backend.Tensor{Rows: rows, Cols: c, Stride: c, Data: x.Data[:rows*c]}
				v, w7 := g.vector(512), g.vector(7*c)
				w, book := b.Pack(g.vector(c*512), c, 512), b.PackT(g.vector(64*c), 64, c)
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

func TestShapeMismatchPanics(t *testing.T) {
	b := cpu.New(1)
	w := b.Pack(make([]float32, 6), 2, 3)
	for name, f := range map[string]func(){
		"columns": func() { b.MatMul(b.New(4, 3), b.New(4, 3), w, backend.Epilogue{}) },
		"rows":    func() { b.MatMul(b.New(4, 3), b.New(5, 2), w, backend.Epilogue{}) },
		"bias":    func() { b.MatMul(b.New(4, 3), b.New(4, 2), w, backend.Epilogue{Bias: make([]float32, 2)}) },
		"add":     func() { b.Add(b.New(4, 3), b.New(4, 3), b.New(4, 2)) },
		"taps":    func() { b.DepthwiseConv(b.New(4, 3), b.New(5, 3), make([]float32, 9), nil, 3, 1) },
		"norm":    func() { b.LayerNorm(b.New(4, 3), b.New(4, 3), make([]float32, 2), nil, 1e-6) },
		"adam":    func() { b.AdamWStep(make([]float32, 3), nil, nil, nil, backend.AdamW{Step: 1}) },
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
