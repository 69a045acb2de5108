package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
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
