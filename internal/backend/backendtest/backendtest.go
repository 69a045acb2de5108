// Package backendtest holds every backend to package ref: random shapes, operands
// with gaps between their rows, outputs full of NaN.
package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

// Run runs all tests, or those of some names, on a backend, which must give the bits of package ref, or values
// within tolerance·(size of what was added up) of it where that is not 0.
func Run(t *testing.T, b backend.Backend, tolerance float64, only ...string) {
	for _, test := range tests {
		if len(only) > 0 && !slices.Contains(only, test.name) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			g := NewGen(b, 7)
			g.tolerance = tolerance
			test.run(t, b, g)
		})
	}
}

// RunOne runs one of the tests, on one shape, as a seed chooses.
func RunOne(t *testing.T, b backend.Backend, tolerance float64, seed uint64) {
	test := tests[seed%uint64(len(tests))]
	g := NewGen(b, seed)
	g.tolerance, g.once = tolerance, true
	test.run(t, b, g)
}

var tests = []struct {
	name string
	run  func(t *testing.T, b backend.Backend, g Gen)
}{
	{"MatMul", testMatMul},
	{"Convolve", testConvolve},
	{"ConvolvePairs", testConvolvePairs},
	{"ConvolvePairsIsConvolution", testConvolvePairsIsConvolution},
	{"MatMulTN", testMatMulTN},
	{"Nearest", testNearest},
	{"MatMulBound", testMatMulBound},
	{"RowsAlone", testRowsAlone},
	{"ConcurrentCalls", testConcurrentCalls},
	{"ShapeMismatchPanics", testShapeMismatchPanics},
	{"Activate", testActivate},
	{"Finish", testFinish},
	{"Add", testAdd},
	{"ColumnSum", testColumnSum},
	{"DepthwiseConv", testDepthwiseConv},
	{"LayerNorm", testLayerNorm},
	{"AdamW", testAdamW},
	{"Gather", testGather},
	{"Spectra", testSpectra},
	{"Polar", testPolar},
	{"CompressedMagnitudes", testCompressedMagnitudes},
	{"Attention", testAttention},
	{"Memory", testMemory},
	{"AttentionIsItsFormula", testAttentionIsItsFormula},
	{"AttentionRowsAlone", testAttentionRowsAlone},
	{"GroupNorm", testGroupNorm},
	{"RMSNorm", testRMSNorm},
	{"LSTMCell", testLSTMCell},
	{"Rotate", testRotate},
	{"Join", testJoin},
	{"ReducedMatMul", testReducedMatMul},
	{"ReducedUnderflow", testReducedUnderflow},
	{"ReducedBound", testReducedBound},
	{"ReducedRowsAlone", testReducedRowsAlone},
	{"PackReducedFloat32", testPackReducedFloat32},
}

var (
	naive ref.Backend
	nan   = float32(math.NaN())
)

// Gen makes random operands on a backend.
type Gen struct {
	*rand.Rand
	b         backend.Backend
	tolerance float64
	once      bool
}

// NewGen makes a generator.
func NewGen(b backend.Backend, seed uint64) Gen {
	return Gen{Rand: rand.New(rand.NewPCG(seed, 1)), b: b}
}

// rounds gives the numbers of n rounds of a test, the first of which are special, or
// one of them.
func (g Gen) rounds(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	if g.once {
		return all[g.IntN(n):][:1]
	}
	return all
}

// Vector makes n values.
func (g Gen) Vector(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(g.NormFloat64())
	}
	return v
}

// maybe makes a vector or nil.
func (g Gen) maybe(n int) []float32 {
	if g.IntN(2) == 0 {
		return nil
	}
	return g.Vector(n)
}

// size gives small sizes, and now and then one past the blocks of the kernels.
func (g Gen) size(most int) int {
	if g.IntN(4) == 0 {
		return 1 + g.IntN(most)
	}
	return 1 + g.IntN(min(most, 40))
}

// matrix makes a matrix on the device, or now and then in the memory of the host,
// whose rows lie extra values apart; a negative extra makes them overlap.
func (g Gen) matrix(rows, cols, extra int) *backend.Tensor {
	stride := max(cols+extra, 1)
	n := max(rows-1, 0)*stride + cols
	if g.IntN(4) == 0 {
		return &backend.Tensor{Rows: rows, Cols: cols, Stride: stride, Data: make([]float32, n)}
	}
	// At any place in its memory.
	at := g.IntN(5)
	t := g.b.New(1, at+n)
	return &backend.Tensor{Rows: rows, Cols: cols, Stride: stride, Data: t.Data[at:], Device: t.Device}
}

// Tensor makes a matrix like that, of random values.
func (g Gen) Tensor(rows, cols, extra int) *backend.Tensor {
	t := g.matrix(rows, cols, extra)
	copy(t.Data, g.Vector(len(t.Data)))
	return t
}

// poisoned makes an output full of NaN, with a gap between rows.
func (g Gen) poisoned(rows, cols, extra int) *backend.Tensor {
	t := g.matrix(rows, cols, extra)
	for i := range t.Data {
		t.Data[i] = nan
	}
	return t
}

// clone is a copy in the memory of the host.
func clone(t *backend.Tensor) *backend.Tensor {
	if t == nil {
		return nil
	}
	return &backend.Tensor{Rows: t.Rows, Cols: t.Cols, Stride: t.Stride, Data: append([]float32(nil), t.Data...)}
}

// same waits, and fails unless got and want are the same bits (any NaN equals any), or
// close where that is enough. Tensors are compared by storage, so that writes between
// rows show.
func (g Gen) same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	g.within(t, what, got, want, 1)
}

// within is same where sums of values up to that size go into the results.
func (g Gen) within(t *testing.T, what string, got, want []float32, size float64) {
	t.Helper()
	backend.Wait(g.b)
	for i := range want {
		a, b := math.Float32bits(got[i]), math.Float32bits(want[i])
		if a == b || got[i] != got[i] && want[i] != want[i] {
			continue
		}
		if d := math.Abs(float64(got[i]) - float64(want[i])); g.tolerance > 0 && d <= g.tolerance*(math.Abs(float64(want[i]))+size) {
			continue
		}
		t.Fatalf("%s: value %d is %v (%#x), want %v (%#x)", what, i, got[i], a, want[i], b)
	}
}

// cases runs f on shapes that include empty ones, one row and odd sizes.
func cases(g Gen, f func(rows, cols int, what string)) {
	n := 60
	if testing.Short() {
		n = 20
	}
	for _, i := range g.rounds(n) {
		r, c := g.size(300), g.size(400)
		switch i {
		case 0:
			r = 0
		case 1:
			r = 1
		case 2:
			r, c = 256, 512
		}
		f(r, c, fmt.Sprintf("[%d, %d]", r, c))
	}
}

// wide scatters some values of a tensor over the whole range of floats.
func (g Gen) wide(t *backend.Tensor) *backend.Tensor {
	for i := range t.Data {
		switch g.IntN(8) {
		case 0:
			t.Data[i] *= float32(math.Exp(g.NormFloat64() * 10))
		case 1:
			t.Data[i] *= 20
		}
	}
	special := []float32{nan, float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1)), 1e-40, -1e-45, 88.5, -88.5, 3e38}
	if n := len(t.Data); n > 0 {
		for _, v := range special {
			t.Data[g.IntN(n)] = v
		}
	}
	return t
}

// tiny brings values to where their products are near the least normal number.
func (g Gen) tiny(v []float32) {
	for i := range v {
		v[i] *= float32(math.Ldexp(1, -70+g.IntN(12)))
	}
}
