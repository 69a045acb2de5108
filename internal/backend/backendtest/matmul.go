package backendtest

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

func testMatMul(t *testing.T, b backend.Backend, g Gen) {
	for _, i := range g.rounds(60) {
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
		x := g.Tensor(m, k, extra)
		w := g.Vector(k * n)
		ep := backend.Epilogue{Bias: g.maybe(n), Act: backend.Activation(g.IntN(3)), Scale: g.maybe(n)}
		if g.IntN(2) == 0 {
			ep.Residual = g.Tensor(m, n, g.IntN(3))
		}
		got := g.poisoned(m, n, g.IntN(3))
		want := clone(got)
		if i%2 == 0 {
			b.MatMul(got, x, b.Pack(w, k, n), ep)
			naive.MatMul(want, x, naive.Pack(w, k, n), ep)
		} else {
			b.MatMul(got, x, b.PackT(w, n, k), ep)
			naive.MatMul(want, x, naive.PackT(w, n, k), ep)
		}
		g.same(t, fmt.Sprintf("[%d, %d]·[%d, %d] stride %d", m, k, k, n, x.Stride), got.Data, want.Data)
	}
}

func testConvolve(t *testing.T, b backend.Backend, g Gen) {
	device, ok := b.(backend.Convolver)
	if !ok {
		t.Skip("not an operation of this backend")
	}
	for _, i := range g.rounds(60) {
		m, c, n := g.size(250), g.size(90), g.size(130)
		taps, stride, dilation := 1+g.IntN(12), 1+g.IntN(3), 1+g.IntN(6)
		switch i {
		case 0:
			m = 0
		case 1, 2:
			c, taps = 300*i, 3 // a tap has blocks of its own; some taps share one
		case 3, 4:
			m, n = i-2, 300
		}
		x := g.Tensor(max(m-1, 0)*stride+(taps-1)*dilation+1+g.IntN(2), c, g.IntN(3))
		w := g.Vector(taps * c * n)
		ep := backend.Epilogue{Bias: g.maybe(n), Act: backend.Activation(g.IntN(3)), Scale: g.maybe(n)}
		if g.IntN(2) == 0 {
			ep.Residual = g.Tensor(m, n, g.IntN(3))
		}
		got := g.poisoned(m, n, g.IntN(3))
		want := clone(got)
		device.Convolve(got, x, b.Pack(w, taps*c, n), taps, stride, dilation, ep)
		naive.Convolve(want, x, naive.Pack(w, taps*c, n), taps, stride, dilation, ep)
		g.same(t, fmt.Sprintf("[%d, %d] by %d taps to %d columns, stride %d, dilation %d", x.Rows, c, taps, n, stride, dilation), got.Data, want.Data)
	}
}

func testConvolvePairs(t *testing.T, b backend.Backend, g Gen) {
	device, ok := b.(backend.Convolver)
	if !ok {
		t.Skip("not an operation of this backend")
	}
	for _, i := range g.rounds(60) {
		m, c, n := g.size(300), g.size(90), g.size(130)
		taps, dilation, first := 2+g.IntN(10), 1+g.IntN(6), g.IntN(100)
		switch i {
		case 0:
			m = 0
		case 1:
			m, c = 700, 160 // more than a part
		case 2:
			m, c, dilation = 60, 700, 7 // blocks are longer than a vector of minus ones
		case 3, 4, 5, 6:
			m, n = i-2, 300
		}
		x := g.Tensor(max(m+(taps-1)*dilation, 0)+g.IntN(2), c, 0)
		k := backend.PairTaps(taps) * c
		w := g.Vector(k * n)
		ep := backend.Epilogue{Bias: g.maybe(n), Act: backend.Activation(g.IntN(3)), Scale: g.maybe(n)}
		if g.IntN(2) == 0 {
			ep.Residual = g.Tensor(m, n, g.IntN(3))
		}
		got := g.poisoned(m, n, g.IntN(3))
		want := clone(got)
		device.ConvolvePairs(got, x, b.Pack(w, k, n), taps, dilation, first, ep)
		naive.ConvolvePairs(want, x, naive.Pack(w, k, n), taps, dilation, first, ep)
		g.same(t, fmt.Sprintf("%d: [%d, %d] by %d taps to [%d, %d], dilation %d, first %d", i, x.Rows, c, taps, m, n, dilation, first), got.Data, want.Data)
	}
}

// Pairs give the sums of a convolution: float64 ones, to the rounding of what goes into
// them.
func testConvolvePairsIsConvolution(t *testing.T, b backend.Backend, g Gen) {
	device, ok := b.(backend.Convolver)
	if !ok {
		t.Skip("not an operation of this backend")
	}
	for _, taps := range []int{2, 3, 4, 7, 11} {
		const m, c, n, d = 41, 40, 33, 3
		x, w := g.Tensor(m+(taps-1)*d, c, 0), g.Tensor(taps*c, n, 0)
		y := b.New(m, n)
		pairs := backend.PairWeights(w.Data, taps, c, n)
		device.ConvolvePairs(y, x, b.Pack(pairs, backend.PairTaps(taps)*c, n), taps, d, 5, backend.Epilogue{})
		backend.Wait(b)
		for i := range m {
			for j := range n {
				var sum, size float64
				for tap := range taps {
					for k := range c {
						p := float64(x.Row(i + tap*d)[k]) * float64(w.Row(tap*c + k)[j])
						sum += p
						size += math.Abs(p)
					}
				}
				if got := float64(y.Row(i)[j]); math.Abs(got-sum) > 1e-5*size {
					t.Fatalf("%d taps, row %d, column %d: %v, want %v", taps, i, j, got, sum)
				}
			}
		}
	}
}

func testMatMulTN(t *testing.T, b backend.Backend, g Gen) {
	for _, i := range g.rounds(40) {
		m, k, n := g.size(600), g.size(130), g.size(130)
		if i == 0 {
			m = 0
		}
		x, dy := g.Tensor(m, k, g.IntN(12)-8), g.Tensor(m, n, g.IntN(3))
		got := g.Tensor(k, n, g.IntN(3))
		want := clone(got)
		b.MatMulTN(got, x, dy)
		naive.MatMulTN(want, x, dy)
		g.same(t, fmt.Sprintf("[%d, %d]ᵀ·[%d, %d]", m, k, m, n), got.Data, want.Data)
	}
}

func testNearest(t *testing.T, b backend.Backend, g Gen) {
	for range g.rounds(20) {
		m, d, n := g.size(100), g.size(40), g.size(300)
		x := g.Tensor(m, d, 0)
		book := g.Vector(n * d)
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
}

// testMatMulBound holds the sums, and those of the gradient, to their float64
// values.
func testMatMulBound(t *testing.T, b backend.Backend, g Gen) {
	const m, k, n = 37, 700, 70
	x, w, dy := g.Tensor(m, k, 0), g.Tensor(k, n, 0), g.Tensor(m, n, 0)
	y, dw := b.New(m, n), b.New(k, n)
	b.MatMul(y, x, b.Pack(w.Data, k, n), backend.Epilogue{})
	b.MatMulTN(dw, x, dy)
	backend.Wait(b)
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
}

// testRowsAlone checks that a row does not depend on the rows beside it, which
// is what makes chunks equal the whole.
func testRowsAlone(t *testing.T, b backend.Backend, g Gen) {
	const rows, k, n = 53, 200, 160
	x, v := g.Tensor(rows, k, 0), g.Vector(n)
	w := b.Pack(g.Vector(k*n), k, n)
	ep := backend.Epilogue{Bias: v, Act: backend.GELU, Scale: v}
	whole := b.New(rows, n)
	b.MatMul(whole, x, w, ep)
	for lo := 0; lo < rows; {
		hi := min(rows, lo+1+g.IntN(6))
		part := g.poisoned(hi-lo, n, 0)
		b.MatMul(part, backend.Host(x.Data[lo*k:], hi-lo, k), w, ep)
		g.same(t, fmt.Sprintf("rows %d to %d", lo, hi), part.Data, whole.Data[lo*n:hi*n])
		lo = hi
	}
}

// testConcurrentCalls runs products from several goroutines on one backend.
func testConcurrentCalls(t *testing.T, b backend.Backend, g Gen) {
	const m, k, n = 120, 64, 512
	x, w := g.Tensor(m, k, 0), b.Pack(g.Vector(k*n), k, n)
	want := b.New(m, n)
	b.MatMul(want, x, w, backend.Epilogue{Act: backend.SiLU})
	backend.Wait(b)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got := b.New(m, n)
			for range 10 {
				b.MatMul(got, x, w, backend.Epilogue{Act: backend.SiLU})
				backend.Wait(b)
				if !slices.Equal(got.Data, want.Data) {
					t.Error("another result")
					return
				}
			}
		})
	}
	wg.Wait()
}

func testShapeMismatchPanics(t *testing.T, b backend.Backend, g Gen) {
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
