package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
)

// TestStraightThrough holds the gradient of latents to that of the quantized
// ones plus the commitment's 2·w·(z − q)/n, and items of level 0 to themselves.
func TestStraightThrough(t *testing.T) {
	const rows, dim, weight = 6, 4, 0.5
	rng := rand.New(rand.NewPCG(1, 2))
	trainer, err := rvq.NewTrainer(rvq.Config{Dim: dim, Groups: 2, Levels: 2, Size: 4}, rvq.DefaultTrainConfig(), testDevice(), rng)
	if err != nil {
		t.Fatal(err)
	}
	trainer.Start(random(rng, 64*dim, 1))
	q := NewQuantizer(trainer, 2, 1)
	q.Levels = []int{0, 2}
	g := NewGraph(testDevice(), 2)
	x, data := g.Input("x", 2*rows, dim)
	copy(data, random(rng, len(data), 1))
	bias := nn.NewLinear("l", dim, dim) // the identity: its bias gradient is the sum of dL/dz
	for i := range dim {
		bias.Weight.Data[i*dim+i] = 1
	}
	coded, commitment := q.Node(g, 0, g.Apply(bias, x), weight)
	c := random(rng, rows*dim, 1)
	o := NewObjective([]Weighted{{Term: project{c}, Weight: 1, Quantized: 1}}, make([]float32, 2*rows*dim), make([]bool, 2), 1, 0, dim)
	if err := g.Compile(g.Sum(o.Node(g, coded), commitment)); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(); err != nil {
		t.Fatal(err)
	}
	half := rows * dim
	if !slices.Equal(q.coded[:half], q.Latents[:half]) {
		t.Error("an item of level 0 was quantized")
	}
	if slices.Equal(q.coded[half:], q.Latents[half:]) {
		t.Error("an item of level 2 was not quantized")
	}
	var distance float64
	for k := range dim {
		var want float64
		for i := k; i < 2*half; i += dim {
			d := float64(q.Latents[i] - q.coded[i])
			distance += d * d / float64(2*half)
			want += float64(c[i%half]) + 2*weight*d/float64(2*half)
		}
		if got := float64(g.Weights()[1].Gradient[k]); math.Abs(got-want) > 1e-5 {
			t.Errorf("gradient of column %d is %g, want %g", k, got, want)
		}
	}
	if math.Abs(q.Commitment-distance) > 1e-6 {
		t.Errorf("commitment %g, want %g", q.Commitment, distance)
	}
}

// TestShards holds a batch on two graphs to the losses and gradients of one.
func TestShards(t *testing.T) {
	run := func(shards int) *Codec {
		c := tiny()
		c.Shards = shards
		codec := newTiny(t, c, testDevice())
		for range 12 { // beyond the start of the codebooks
			if err := codec.Update(0); err != nil {
				t.Fatal(err)
			}
		}
		return codec
	}
	one, two := run(1), run(2)
	if one.quantizer.Started() != true {
		t.Fatal("the codebooks did not start")
	}
	if d := math.Abs(one.quantizer.Commitment/two.quantizer.Commitment - 1); d > 1e-2 {
		t.Errorf("commitment of one graph %g, of two %g", one.quantizer.Commitment, two.quantizer.Commitment)
	}
	if d := math.Abs(one.solver.Norm/two.solver.Norm - 1); d > 1e-2 {
		t.Errorf("gradient norm of one graph %g, of two %g", one.solver.Norm, two.solver.Norm)
	}
}
