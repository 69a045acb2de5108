package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Whole blocks arriving in any number, and a last short one, give the bits of one
// step, far beyond the rows that are kept and the period of the angles.
func TestAttendStreams(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	const c = 8
	a := &Attend{Channels: c, Heads: 2, Left: 7, Stride: 2, Rotary: NewRotary(c/2, 32)}
	for _, chunk := range []int{1, 2, 3, 5} {
		for _, steps := range []int{0, 1, 23, 100} {
			items := []*backend.Tensor{random(steps, 3*c, rng), random(steps, 3*c, rng)}
			var whole []*backend.Tensor
			for _, x := range items {
				s := NewStream(device(), 1)
				s.Chunk = 2 * chunk
				whole = append(whole, a.Step(s, x))
			}
			for range 5 {
				s := NewStream(device(), 2)
				s.Chunk = 2 * chunk
				for at := 0; at < steps; {
					n := min(steps-at, rng.IntN(4)*chunk)
					x := random(2*n, 3*c, rng)
					for i, item := range items {
						copy(x.Data[i*n*3*c:], item.Slice(at, at+n).Data)
					}
					s.Begin()
					y := a.Step(s, x)
					for i := range items {
						for r := range n {
							for k, want := range whole[i].Row(at + r) {
								if got := y.Row(i*n + r)[k]; math.Float32bits(got) != math.Float32bits(want) {
									t.Fatalf("chunk %d: row %d of item %d: %v, want %v", chunk, at+r, i, got, want)
								}
							}
						}
					}
					at += n
				}
			}
		}
	}
}

// What a row sees: its own block and Left rows before it, and nothing else. Items
// of a batch end where their lengths say.
func TestAttendSees(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 4))
	const c, steps, left, chunk = 4, 20, 3, 4
	a := &Attend{Channels: c, Heads: 1, Left: left, Stride: 1, Rotary: NewRotary(c, 64)}
	run := func(x *backend.Tensor) *backend.Tensor {
		s := NewStream(device(), 2)
		s.Chunk, s.Lengths = chunk, []int{steps, 9}
		return a.Step(s, x)
	}
	x := random(2*steps, 3*c, rng)
	before := run(x)
	for changed := range 2 * steps {
		y := &backend.Tensor{Rows: x.Rows, Cols: x.Cols, Stride: x.Stride, Data: append([]float32(nil), x.Data...)}
		for k := c; k < 3*c; k++ { // key and value
			y.Row(changed)[k]++
		}
		after := run(y)
		for r := range 2 * steps {
			item, at, source := r/steps, r%steps, changed%steps
			block := at / chunk * chunk
			end := []int{steps, 9}[item]
			sees := item == changed/steps && source >= block-left && source < min(block+chunk, end)
			same := fmt.Sprint(before.Row(r)) == fmt.Sprint(after.Row(r))
			if same == sees {
				t.Errorf("row %d changes with row %d: %v, want %v", r, changed, !same, sees)
			}
		}
	}
}

// The same rows later in a stream give the same result: positions are relative.
func TestAttendIsRelative(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 4))
	const c, n = 8, 6
	a := &Attend{Channels: c, Heads: 1, Left: n, Stride: 1, Rotary: NewRotary(c, 2048)}
	x := random(2*n, 3*c, rng)
	s := NewStream(device(), 1)
	s.Chunk = n
	var first *backend.Tensor
	for round := range 400 { // past the period
		s.Begin()
		a.Step(s, x.Slice(0, n))
		s.Begin()
		y := a.Step(s, x.Slice(n, 2*n))
		if round == 0 {
			first = &backend.Tensor{Rows: n, Cols: c, Stride: c, Data: append([]float32(nil), y.Data...)}
			continue
		}
		for i, want := range first.Data {
			if math.Abs(float64(y.Data[i]-want)) > 1e-5 {
				t.Fatalf("round %d: value %d is %v, was %v", round, i, y.Data[i], want)
			}
		}
	}
}

// checkGradient holds Backward to differences of the loss Σ y·weights.
func checkGradient(t *testing.T, l Differentiable, x *backend.Tensor, fresh func() *Stream, rng *rand.Rand) {
	t.Helper()
	y := l.Step(fresh(), x)
	dy := random(y.Rows, y.Cols, rng)
	loss := func() (sum float64) {
		for i, v := range l.Step(fresh(), x).Data {
			sum += float64(v) * float64(dy.Data[i])
		}
		return sum
	}
	s := fresh()
	y = l.Step(s, x)
	grads := make([][]float32, len(l.Params()))
	for i, p := range l.Params() {
		grads[i] = make([]float32, p.Len())
	}
	dx := l.Backward(s, x, y, dy, grads)
	compare := func(what string, data, grad []float32) {
		for i := range data {
			was := data[i]
			data[i] = was + 1e-2
			up := loss()
			data[i] = was - 1e-2
			down := loss()
			data[i] = was
			if want := (up - down) / 2e-2; math.Abs(float64(grad[i])-want) > 2e-3*(1+math.Abs(want)) {
				t.Fatalf("slope %d of %s is %v, want %v", i, what, grad[i], want)
			}
		}
	}
	compare("x", x.Data, dx.Data)
}

func TestGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 4))
	const c, steps = 4, 9
	for name, l := range map[string]struct {
		layer Differentiable
		cols  int
	}{
		"attend": {&Attend{Channels: c, Heads: 2, Left: 3, Stride: 1, Rotary: NewRotary(c/2, 64)}, 3 * c},
		"fold":   {Fold{N: 3}, c},
		"unfold": {Unfold{N: 2}, c},
	} {
		t.Run(name, func(t *testing.T) {
			checkGradient(t, l.layer, random(2*steps, l.cols, rng), func() *Stream {
				s := NewStream(device(), 2)
				s.Chunk, s.Lengths = 2, []int{steps, 5}
				return s
			}, rng)
		})
	}
}
