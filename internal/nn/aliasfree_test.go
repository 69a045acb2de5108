package nn

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

// aliasFree64 is the definition: the signal with repeated ends, zeros between its
// rows, a filter, the function, the result with repeated ends, and a filter at every
// second row.
func aliasFree64(up12, down12 []float32, snake *Snake, x *backend.Tensor) [][]float64 {
	at := func(rows [][]float64, t int) []float64 { return rows[min(max(t, 0), len(rows)-1)] }
	var rows [][]float64
	for t := range x.Rows {
		rows = append(rows, row64(x.Row(t)))
	}
	up := make([][]float64, 2*x.Rows)
	for m := range up {
		up[m] = make([]float64, x.Cols)
		for j, f := range up12 {
			if full := m + 15 - j; full%2 == 0 { // 5 rows before, and 15 of the result cut
				for c, v := range at(rows, full/2-5) {
					up[m][c] += 2 * float64(f) * v
				}
			}
		}
		for c, v := range up[m] {
			sin := math.Sin(float64(snake.Alpha.Data[c]) * v)
			up[m][c] += float64(snake.Inverse.Data[c]) * sin * sin
		}
	}
	y := make([][]float64, x.Rows)
	for t := range y {
		y[t] = make([]float64, x.Cols)
		for k, f := range down12 {
			for c, v := range at(up, 2*t+k-5) {
				y[t][c] += float64(f) * v
			}
		}
	}
	return y
}

func TestAliasFree(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 1))
	snake, filters := randomize(NewSnake("s", 5), rng), random(2, 12, rng)
	l := NewAliasFree(5, filters.Row(0), filters.Row(1), snake)
	for _, n := range []int{1, 2, 3, 4, 7, 40} {
		x := random(n, 5, rng)
		y, want := whole(device(), l, x), aliasFree64(filters.Row(0), filters.Row(1), snake, x)
		if y.Rows != n {
			t.Fatalf("%d rows of %d", y.Rows, n)
		}
		for r := range n {
			for c, v := range y.Row(r) {
				if math.Abs(float64(v)-want[r][c]) > 1e-4*(1+math.Abs(want[r][c])) {
					t.Fatalf("%d rows: row %d channel %d is %g, expected %g", n, r, c, v, want[r][c])
				}
			}
		}
	}
	holdsInPieces(t, l, 5, rng)
}
