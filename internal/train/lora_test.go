package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// Adapters start without effect, their gradients are those of differences, and
// only their own matrices change.
func TestLoRA(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 8))
	a, b := nn.NewLinear("a", 6, 5), nn.NewLinear("b", 5, 7)
	var weights []*Weight
	for _, p := range nn.Params(a, b) {
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64())
		}
		weights = append(weights, newWeight(nil, p))
	}
	before := slices.Clone(b.Weight.Data)
	l, err := NewLoRA(LoRAConfig{Rank: 2, Alpha: 3, Layers: []string{"b."}}, weights, rng)
	if err != nil {
		t.Fatal(err)
	}
	l.Merge()
	if !slices.Equal(b.Weight.Data, before) {
		t.Error("a new adapter changes its matrix")
	}
	for _, w := range l.Weights() {
		for i := range w.Data {
			w.Data[i] += float32(0.3 * rng.NormFloat64())
		}
	}
	tape := NewTape(testDevice(), weights, 0, rng)
	x := backend.Host(make([]float32, 4*6), 4, 6)
	slope := backend.Host(make([]float32, 4*7), 4, 7)
	for _, v := range [][]float32{x.Data, slope.Data} {
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
	}
	loss := func() (sum float64) {
		l.Merge()
		tape.Begin(1)
		y := tape.Apply(b, tape.Apply(nn.Activation{Func: backend.GELU}, tape.Apply(a, tape.Input(x))))
		y.Grad = slope
		for i, v := range y.Data {
			sum += float64(v) * float64(slope.Data[i])
		}
		return sum
	}
	loss()
	tape.Backward()
	l.Gradients()
	for _, w := range l.Weights() {
		for i := range w.Data {
			was := w.Data[i]
			w.Data[i] = was + 0.01
			up := loss()
			w.Data[i] = was - 0.01
			down := loss()
			w.Data[i] = was
			if want := (up - down) / 0.02; math.Abs(float64(w.Gradient[i])-want) > 1e-3*(1+math.Abs(want)) {
				t.Fatalf("%s: slope %d is %g, want %g", w.Name, i, w.Gradient[i], want)
			}
		}
	}
	for _, c := range []LoRAConfig{{Rank: 0, Alpha: 1}, {Rank: 1}, {Rank: 1, Alpha: 1, Layers: []string{"c"}}, {Rank: 9, Alpha: 1}} {
		if _, err := NewLoRA(c, weights, rng); err == nil {
			t.Errorf("%+v is no error", c)
		}
	}
}
