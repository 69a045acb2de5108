package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

// ranges gives keys for each query: those of chunks with some left context, any,
// or none.
func (g Gen) ranges(rows, keys int) (from, to []int32) {
	from, to = make([]int32, rows), make([]int32, rows)
	chunk, left := 1+g.IntN(20), g.IntN(60)
	kind := g.IntN(3)
	for m := range from {
		switch {
		case kind == 0 || g.IntN(10) == 0:
			from[m] = int32(g.IntN(keys + 1))
			to[m] = int32(g.IntN(keys + 1)) // may be before from
		default:
			start := m / chunk * chunk
			from[m], to[m] = int32(min(keys, max(0, start-left))), int32(min(keys, start+chunk))
		}
	}
	return from, to
}

func testAttention(t *testing.T, b backend.Backend, g Gen) {
	n := 40
	if testing.Short() {
		n = 12
	}
	for _, i := range g.rounds(n) {
		rows, keys, heads, d := g.size(150), g.size(200), 1+g.IntN(3), 1+g.IntN(70)
		if i == 0 {
			rows = 0
		}
		cols := heads * d
		q, k, v := g.Tensor(rows, cols, g.IntN(3)), g.Tensor(keys, cols, g.IntN(3)), g.Tensor(keys, cols, g.IntN(3))
		from, to := g.ranges(rows, keys)
		scale := float32(math.Exp(g.NormFloat64()) / math.Sqrt(float64(d)))
		what := fmt.Sprintf("%d queries, %d keys, %d heads of %d", rows, keys, heads, d)
		got := g.poisoned(rows, cols, g.IntN(3))
		want := clone(got)
		b.Attention(got, q, k, v, from, to, heads, scale)
		naive.Attention(want, q, k, v, from, to, heads, scale)
		g.same(t, what, got.Data, want.Data)

		dy := g.Tensor(rows, cols, 1)
		dq := g.poisoned(rows, cols, g.IntN(3))
		dk, dv := g.Tensor(keys, cols, g.IntN(3)), g.Tensor(keys, cols, g.IntN(3))
		wantQ, wantK, wantV := clone(dq), clone(dk), clone(dv)
		b.AttentionGrad(dq, dk, dv, q, k, v, got, dy, from, to, heads, scale)
		naive.AttentionGrad(wantQ, wantK, wantV, q, k, v, want, dy, from, to, heads, scale)
		g.within(t, "dq of "+what, dq.Data, wantQ.Data, 1+10*float64(scale))
		g.within(t, "dk of "+what, dk.Data, wantK.Data, 1+10*float64(scale))
		g.within(t, "dv of "+what, dv.Data, wantV.Data, 1+10*float64(scale))
	}
}

// A memory that grows gives what attention to all of its rows gives.
func testMemory(t *testing.T, b backend.Backend, g Gen) {
	for range g.rounds(12) {
		rows, heads, d := 1+g.IntN(80), 1+g.IntN(3), 1+g.IntN(70)
		room := 1 + g.IntN(300)
		cols := heads * d
		k, v := g.Tensor(room, cols, g.IntN(3)), g.Tensor(room, cols, g.IntN(3))
		m, plain := b.NewMemory(room, cols, heads), naive.NewMemory(room, cols, heads)
		scale := float32(1 / math.Sqrt(float64(d)))
		for m.Rows < room {
			next := m.Rows + 1 + g.IntN(room-m.Rows)
			b.Remember(m, k.Slice(m.Rows, next), v.Slice(m.Rows, next))
			naive.Remember(plain, k.Slice(plain.Rows, next), v.Slice(plain.Rows, next))
			q := g.Tensor(1+g.IntN(rows), cols, g.IntN(3))
			got := g.poisoned(q.Rows, cols, g.IntN(3))
			want := clone(got)
			b.Recall(got, q, m, scale)
			naive.Recall(want, q, plain, scale)
			g.same(t, fmt.Sprintf("%d queries, %d rows, %d heads of %d", q.Rows, m.Rows, heads, d), got.Data, want.Data)
		}
		m.Rows = 0 // it can be filled again
		b.Remember(m, k, v)
	}
}

// Attention is softmax(q·kᵀ·scale)·v, and its gradient that of this function: both
// in float64.
func testAttentionIsItsFormula(t *testing.T, b backend.Backend, g Gen) {
	const rows, keys, heads, d, scale = 5, 9, 2, 4, 0.7
	const cols = heads * d
	q, k, v, dy := g.Tensor(rows, cols, 0), g.Tensor(keys, cols, 0), g.Tensor(keys, cols, 0), g.Tensor(rows, cols, 0)
	from, to := []int32{0, 2, 0, 4, 8}, []int32{9, 3, 5, 9, 9}
	// loss gives the rows, and the sum of their products with dy.
	loss := func() (y []float64, sum float64) {
		y = make([]float64, rows*cols)
		for m := range rows {
			for h := range heads {
				var total float64
				for j := from[m]; j < to[m]; j++ {
					var s float64
					for c := h * d; c < (h+1)*d; c++ {
						s += float64(q.Row(m)[c]) * float64(k.Row(int(j))[c])
					}
					e := math.Exp(s * scale)
					total += e
					for c := h * d; c < (h+1)*d; c++ {
						y[m*cols+c] += e * float64(v.Row(int(j))[c])
					}
				}
				for c := h * d; c < (h+1)*d; c++ {
					y[m*cols+c] /= total
					sum += y[m*cols+c] * float64(dy.Row(m)[c])
				}
			}
		}
		return y, sum
	}
	y := b.New(rows, cols)
	b.Attention(y, q, k, v, from, to, heads, scale)
	backend.Wait(b)
	exact, _ := loss()
	for i, want := range exact {
		if math.Abs(float64(y.Data[i])-want) > 1e-5 {
			t.Fatalf("value %d is %v, want %v", i, y.Data[i], want)
		}
	}
	dq, dk, dv := b.New(rows, cols), b.New(keys, cols), b.New(keys, cols)
	b.AttentionGrad(dq, dk, dv, q, k, v, y, dy, from, to, heads, scale)
	backend.Wait(b)
	for name, pair := range map[string][2]*backend.Tensor{"dq": {q, dq}, "dk": {k, dk}, "dv": {v, dv}} {
		for i := range pair[0].Data {
			x := &pair[0].Data[i]
			was := *x
			*x = was + 1e-2
			high, step := *x, 0.0
			_, above := loss()
			*x = was - 1e-2
			_, below := loss()
			step = float64(high) - float64(*x)
			*x = was
			if want := (above - below) / step; math.Abs(float64(pair[1].Data[i])-want) > 1e-3 {
				t.Errorf("%s: value %d is %v, want %v", name, i, pair[1].Data[i], want)
			}
		}
	}
}

// A query gives the same bits alone as among others, wherever the keys before the
// visible ones begin.
func testAttentionRowsAlone(t *testing.T, b backend.Backend, g Gen) {
	const rows, heads, d, chunk, left = 70, 2, 32, 7, 15
	q, k, v := g.Tensor(rows, heads*d, 0), g.Tensor(rows, heads*d, 0), g.Tensor(rows, heads*d, 0)
	from, to := make([]int32, rows), make([]int32, rows)
	for m := range from {
		from[m], to[m] = int32(max(0, m/chunk*chunk-left)), int32(min(rows, m/chunk*chunk+chunk))
	}
	whole := b.New(rows, heads*d)
	b.Attention(whole, q, k, v, from, to, heads, 0.2)
	for m := range rows {
		y := g.poisoned(1, heads*d, 0)
		lo, hi := int(from[m]), int(to[m])
		b.Attention(y, q.Slice(m, m+1), k.Slice(lo, hi), v.Slice(lo, hi), []int32{0}, []int32{int32(hi - lo)}, heads, 0.2)
		g.same(t, fmt.Sprint("row ", m), y.Data, whole.Row(m))
	}
}
