package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

var reduced = []backend.Precision{backend.BFloat16, backend.Int8}

// tensor says that sums of bfloat16 are in the order of tensor cores: Tensor tests them.
func tensor(b backend.Backend) bool {
	d, ok := b.(interface{ Tensor() bool })
	return ok && d.Tensor()
}

func testReducedMatMul(t *testing.T, b backend.Backend, g Gen) {
	for _, i := range g.rounds(120) {
		m, k, n := g.size(250), g.size(600), g.size(130)
		switch i / 2 {
		case 0:
			m = 0
		case 1:
			k = 0
		case 2:
			m, k, n = 3, 4095+i%2, 70
		case 3, 4:
			m, n = i/2-2, 300
		case 5:
			m, k = 40, 1024 // rows on the same cache sets
		case 6:
			if m, n = 2, 1; i%2 == 1 {
				k = backend.MaxInt8
			}
		}
		p := reduced[i%2]
		if p == backend.BFloat16 && tensor(b) {
			continue
		}
		x, w := g.Tensor(m, k, g.IntN(12)-8), g.Vector(k*n)
		switch g.IntN(4) {
		case 0:
			g.wide(x)
		case 1:
			g.tiny(x.Data)
			g.tiny(w)
		case 2: // where integers become zeros
			naive.ScaleAdd(x, x, slices.Repeat([]float32{0x1p-101}, k), nil)
		}
		if k == backend.MaxInt8 { // the largest sum
			for j := range w {
				w[j] = 1
			}
			for r := range m {
				for j := range x.Row(r) {
					x.Row(r)[j] = 1
				}
			}
		}
		if i > 60 && k > 0 {
			w[g.IntN(k*n)] = []float32{nan, float32(math.Inf(-1)), 1e30, 1e-42}[g.IntN(4)]
		}
		ep := backend.Epilogue{Bias: g.maybe(n), Act: backend.Activation(g.IntN(3)), Scale: g.maybe(n)}
		if g.IntN(2) == 0 {
			ep.Residual = g.Tensor(m, n, g.IntN(3))
		}
		got := g.poisoned(m, n, g.IntN(3))
		want := clone(got)
		b.MatMul(got, x, b.PackReduced(w, k, n, p), ep)
		naive.MatMul(want, x, naive.PackReduced(w, k, n, p), ep)
		g.same(t, fmt.Sprintf("%v: [%d, %d]·[%d, %d] stride %d", p, m, k, k, n, x.Stride), got.Data, want.Data)
	}
}

// testReducedUnderflow adds products to the least normal number and to zero: what
// is below it after rounding to 24 bits becomes zero, what rounds up to it stays.
func testReducedUnderflow(t *testing.T, b backend.Backend, g Gen) {
	if tensor(b) {
		t.Skip("tensor cores do not flush")
	}
	var x, w [2][]float32 // by the value of the pair
	for _, v := range []float32{0, 0x1p-75, 0x1p-80, 0x1p-63, 0x1.fep-64, 0x1p-126, 0x1p-50, 0x1.fep127} {
		x[0], x[1] = append(x[0], v, -v, v), append(x[1], 0x1p-63, 0x1p-63, 0)
	}
	for _, v := range []float32{0, 0x1p-75, 0x1p-77, 0x1.02p-76, 0x1.fep-77, 0x1p-101, 0x1p-63, 0x1p-126, 0x1p100, 0x1p-76} {
		for range 24 { // panels of equal values, so that no other one makes a kernel look again
			w[0], w[1] = append(w[0], v, -v), append(w[1], 0x1p-63, -0x1p-63)
		}
	}
	n := len(w[0])
	matrix := slices.Concat(w[0], w[1])
	stays, flushed := false, false
	for m := 1; m <= 12; m++ { // every height of a tile takes every row
		for first := 0; first < len(x[0]); first += m {
			in := g.poisoned(m, 2, 0)
			for i := range m {
				r := (first + i) % len(x[0])
				in.Row(i)[0], in.Row(i)[1] = x[0][r], x[1][r]
			}
			got := g.poisoned(m, n, 0)
			want := clone(got)
			b.MatMul(got, in, b.PackReduced(matrix, 2, n, backend.BFloat16), backend.Epilogue{})
			naive.MatMul(want, in, naive.PackReduced(matrix, 2, n, backend.BFloat16), backend.Epilogue{})
			g.same(t, fmt.Sprintf("%d rows", m), got.Data, want.Data)
			stays = stays || slices.Contains(want.Data, 0x1p-126)
			flushed = flushed || slices.Contains(want.Data, 0)
		}
	}
	if !stays || !flushed {
		t.Error("no sum at the least normal number")
	}
}

// testReducedBound holds products to their float64 values: within the rounding of
// the factors, a half of the last of 8 bits of each.
func testReducedBound(t *testing.T, b backend.Backend, g Gen) {
	const m, k, n = 23, 700, 70
	x, w := g.Tensor(m, k, 0), g.Tensor(k, n, 0)
	most := func(r int, at func(i int) float32) (v float64) {
		for i := range r {
			v = max(v, math.Abs(float64(at(i))))
		}
		return v
	}
	for _, p := range reduced {
		y := b.New(m, n)
		b.MatMul(y, x, b.PackReduced(w.Data, k, n, p), backend.Epilogue{})
		backend.Wait(b)
		for i := range m {
			row := func(l int) float32 { return x.Row(i)[l] }
			dx := most(k, row) / 254
			for j := range n {
				column := func(l int) float32 { return w.Row(l)[j] }
				dw := most(k, column) / 254
				var sum, bound float64
				for l := range k {
					a, c := float64(row(l)), float64(column(l))
					sum += a * c
					if p == backend.BFloat16 {
						dx, dw = math.Abs(a)/256, math.Abs(c)/256
					}
					bound += math.Abs(a)*dw + math.Abs(c)*dx + dx*dw + 1e-5*math.Abs(a*c)
				}
				if got := float64(y.Row(i)[j]); math.Abs(got-sum) > bound {
					t.Fatalf("%v: sum %v, want %v to %g", p, got, sum, bound)
				}
			}
		}
	}
}

// testReducedRowsAlone checks that a row does not depend on the rows beside it.
func testReducedRowsAlone(t *testing.T, b backend.Backend, g Gen) {
	const rows, k, n = 53, 200, 160
	x, v := g.Tensor(rows, k, 0), g.Vector(n)
	for r := range rows {
		for i := range k {
			x.Row(r)[i] *= float32(r)
		}
	}
	for _, p := range reduced {
		w := b.PackReduced(g.Vector(k*n), k, n, p)
		ep := backend.Epilogue{Bias: v, Act: backend.GELU, Scale: v}
		whole := b.New(rows, n)
		b.MatMul(whole, x, w, ep)
		for lo := 0; lo < rows; {
			hi := min(rows, lo+1+g.IntN(6))
			part := g.poisoned(hi-lo, n, 0)
			b.MatMul(part, backend.Host(x.Data[lo*k:], hi-lo, k), w, ep)
			g.same(t, fmt.Sprintf("%v: rows %d to %d", p, lo, hi), part.Data, whole.Data[lo*n:hi*n])
			lo = hi
		}
	}
}

func testPackReducedFloat32(t *testing.T, b backend.Backend, g Gen) {
	x, w := g.Tensor(3, 20, 0), g.Vector(20*10)
	got, want := b.New(3, 10), b.New(3, 10)
	b.MatMul(got, x, b.PackReduced(w, 20, 10, backend.Float32), backend.Epilogue{})
	b.MatMul(want, x, b.Pack(w, 20, 10), backend.Epilogue{})
	g.same(t, "float32", got.Data, want.Data)
}
