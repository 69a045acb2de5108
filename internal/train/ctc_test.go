package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

// spelled is what a path of symbols spells: repeats joined, blanks left out.
func spelled(path []int32) string {
	text, last := "", int32(0)
	for _, s := range path {
		if s != 0 && s != last {
			text += fmt.Sprint(s, " ")
		}
		last = s
	}
	return text
}

// bruteForce adds up all paths.
func bruteForce(scores *backend.Tensor, labels []int32) float64 {
	logp := make([][]float64, scores.Rows)
	for t := range logp {
		logp[t] = make([]float64, scores.Cols)
		logSoftmax(logp[t], scores.Row(t))
	}
	want := ""
	for _, l := range labels {
		want += fmt.Sprint(l, " ")
	}
	var total float64
	path := make([]int32, scores.Rows)
	var walk func(t int, p float64)
	walk = func(t int, p float64) {
		if t == scores.Rows {
			if spelled(path) == want {
				total += math.Exp(p)
			}
			return
		}
		for k := range scores.Cols {
			path[t] = int32(k)
			walk(t+1, p+logp[t][k])
		}
	}
	walk(0, 0)
	return -math.Log(total)
}

func TestCTCIsTheSumOverPaths(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var c CTC
	for _, labels := range [][]int32{{}, {1}, {1, 2}, {1, 1}, {2, 1, 2}, {1, 1, 1}, {1, 2, 2, 1, 2, 1}} {
		for _, rows := range []int{1, 2, 5, 6} {
			scores := backend.Host(make([]float32, rows*3), rows, 3)
			for i := range scores.Data {
				scores.Data[i] = float32(2 * rng.NormFloat64())
			}
			grad := backend.Host(make([]float32, rows*3), rows, 3)
			got, want := c.Loss(grad, scores, labels, 2), bruteForce(scores, labels)
			if math.IsInf(want, 1) && math.IsInf(got, 1) {
				for _, g := range grad.Data {
					if g != 0 {
						t.Errorf("%v in %d rows: a slope of %g where there is no path", labels, rows, g)
					}
				}
				continue
			}
			if math.Abs(got-want) > 1e-5 {
				t.Fatalf("%v in %d rows: loss %g, want %g", labels, rows, got, want)
			}
			for i := range scores.Data {
				was := scores.Data[i]
				scores.Data[i] = was + 0.01
				up := bruteForce(scores, labels)
				scores.Data[i] = was - 0.01
				down := bruteForce(scores, labels)
				scores.Data[i] = was
				if want := 2 * (up - down) / 0.02; math.Abs(float64(grad.Data[i])-want) > 1e-3 {
					t.Errorf("%v in %d rows: slope %d is %g, want %g", labels, rows, i, grad.Data[i], want)
				}
			}
		}
	}
}

// A loss of thousands of nats, where probabilities are no float64, is still right:
// with equal scores each of the paths has the same probability.
func TestCTCOfLongUtterances(t *testing.T) {
	const rows, cols = 2000, 29
	labels := make([]int32, 900)
	for i := range labels {
		labels[i] = int32(1 + i%2)
	}
	scores, grad := backend.Host(make([]float32, rows*cols), rows, cols), backend.Host(make([]float32, rows*cols), rows, cols)
	var c CTC
	got := c.Loss(grad, scores, labels, 1)
	// Each path is a choice of places: states of L different labels with optional
	// blanks around them give C(T+L, 2L) paths.
	lg := func(n int) float64 { v, _ := math.Lgamma(float64(n + 1)); return v }
	count := lg(rows+len(labels)) - lg(2*len(labels)) - lg(rows-len(labels))
	if want := rows*math.Log(cols) - count; math.Abs(got-want) > 1e-3 {
		t.Errorf("loss %g, want %g", got, want)
	}
}

func BenchmarkCTC(b *testing.B) {
	const rows, cols, length = 400, 29, 220
	labels := make([]int32, length)
	for i := range labels {
		labels[i] = int32(1 + i%28)
	}
	scores, grad := backend.Host(make([]float32, rows*cols), rows, cols), backend.Host(make([]float32, rows*cols), rows, cols)
	var c CTC
	for b.Loop() {
		c.Loss(grad, scores, labels, 1)
	}
}
