package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// smallRecogniser is one with random weights.
func smallRecogniser(t *testing.T, inputs, width int) (recognizer.Config, *recognizer.Network, []*Weight, *rand.Rand) {
	t.Helper()
	c := recognizer.DefaultConfig()
	c.Inputs, c.Width, c.Blocks, c.Left, c.Heads = inputs, width, 2, 3, 2
	n, err := recognizer.NewNetwork(c)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 5))
	n.Init(rng)
	var weights []*Weight
	for _, p := range n.Params() {
		weights = append(weights, &Weight{Param: p, Gradient: make([]float32, p.Len()), Rate: 1})
	}
	return c, n, weights, rng
}

// The slope of CTC's loss in the weights of a recogniser, by the tape, is that of
// differences, for items of unlike lengths in chunks.
func TestRecogniserGradient(t *testing.T) {
	c, n, weights, rng := smallRecogniser(t, 6, 8)
	tape := NewTape(cpu.New(1), weights, 0, rng)
	const rows = 48
	lengths, labels := []int{48, 28}, [][]int32{{3, 4, 4, 1, 9}, {7, 2}}
	x := backend.Host(make([]float32, 2*rows*c.Inputs), 2*rows, c.Inputs)
	for i := range x.Data {
		x.Data[i] = float32(rng.NormFloat64())
	}
	var ctc CTC
	loss := func(back bool) (sum float64) {
		s := tape.Begin(2)
		s.Chunk, s.Lengths = 8, lengths
		var middle *Value
		out := recognizer.Apply(tape, n, tape.Input(x), func(v *Value) { middle = v })
		for _, v := range []*Value{out, middle} {
			v.Grad = s.Tensor(v.Rows, v.Cols)
			clear(v.Grad.Data)
			for i := range lengths {
				from, to := i*v.Rows/2, i*v.Rows/2+lengths[i]
				sum += ctc.Loss(v.Grad.Slice(from, to), v.Slice(from, to), labels[i], 1)
			}
		}
		if back {
			tape.Backward()
		}
		return sum
	}
	loss(true)
	for _, w := range weights {
		grad := append([]float32(nil), w.Gradient...)
		var dot float64
		for range 3 {
			// Along the gradient and a random direction.
			direction := make([]float32, len(grad))
			dot = 0
			for i := range direction {
				direction[i] = float32(rng.NormFloat64())
				dot += float64(direction[i]) * float64(grad[i])
			}
			const step = 2e-3
			move := func(by float32) {
				for i, d := range direction {
					w.Data[i] += by * d
				}
				w.Changed()
			}
			move(step)
			up := loss(false)
			move(-2 * step)
			down := loss(false)
			move(step)
			if want := (up - down) / (2 * step); math.Abs(dot-want) > 0.02*math.Abs(want)+0.02 {
				t.Errorf("%s: slope %g, want %g", w.Name, dot, want)
			}
		}
	}
}
