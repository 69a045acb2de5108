package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// TestAdamW follows Algorithm 2 of Loshchilov & Hutter 2019 in float64, with the
// bound on the norm of all gradients together.
func TestAdamW(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const clip = 1.5
	solver := NewAdamW(testDevice(), backend.AdamW{Beta1: 0.8, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1}, clip)
	matrix := &Weight{Param: nn.NewParam("m", 5, 7), Gradient: make([]float32, 35), Rate: 1}
	vector := &Weight{Param: nn.NewParam("v", 9), Gradient: make([]float32, 9), Rate: 0.5}
	weights := []*Weight{matrix, vector}
	type state struct{ w, m, v []float64 }
	states := make([]state, len(weights))
	for i, w := range weights {
		copy(w.Data, random(rng, w.Len(), 1))
		states[i] = state{make([]float64, w.Len()), make([]float64, w.Len()), make([]float64, w.Len())}
		for k, v := range w.Data {
			states[i].w[k] = float64(v)
		}
	}
	for step := 1; step <= 10; step++ {
		lr := 0.01 * float64(step)
		var norm float64
		for _, w := range weights {
			copy(w.Gradient, random(rng, w.Len(), 0.1*float64(step)))
			for _, g := range w.Gradient {
				norm += float64(g) * float64(g)
			}
		}
		norm = math.Sqrt(norm)
		scale := min(1, clip/norm)
		for i, w := range weights {
			s := states[i]
			rate, decay := lr*float64(w.Rate), 0.0
			if w == matrix {
				decay = 0.1
			}
			for k, g := range w.Gradient {
				g := float64(g) * scale
				s.m[k] = 0.8*s.m[k] + 0.2*g
				s.v[k] = 0.99*s.v[k] + 0.01*g*g
				m := s.m[k] / (1 - math.Pow(0.8, float64(step)))
				v := s.v[k] / (1 - math.Pow(0.99, float64(step)))
				s.w[k] -= rate * (m/(math.Sqrt(v)+1e-8) + decay*s.w[k])
			}
		}
		solver.LR = float32(lr)
		if err := solver.Step([]gorgonia.ValueGrad{matrix, vector}); err != nil {
			t.Fatal(err)
		}
		if math.Abs(solver.Norm-norm) > 1e-5*norm {
			t.Errorf("step %d: norm %g, want %g", step, solver.Norm, norm)
		}
		for i, w := range weights {
			for k, v := range w.Data {
				if math.Abs(float64(v)-states[i].w[k]) > 2e-5 {
					t.Fatalf("step %d: %s[%d] = %g, want %g", step, w.Name, k, v, states[i].w[k])
				}
			}
		}
	}
	before := matrix.Data[0]
	matrix.Gradient[3] = float32(math.NaN())
	if err := solver.Step([]gorgonia.ValueGrad{matrix, vector}); err != nil || solver.Skipped != 1 || matrix.Data[0] != before {
		t.Errorf("a step without finite gradient: error %v, %d skipped", err, solver.Skipped)
	}
}

func TestSchedule(t *testing.T) {
	s := Schedule{Peak: 2, Floor: 0.1, Warmup: 10}
	for _, c := range []struct {
		update         int
		progress, want float64
	}{
		{0, 0, 0.2}, {4, 0, 1}, {9, 0, 2}, {1000, 0.5, 1.1}, {1000, 1, 0.2}, {1000, 2, 0.2},
	} {
		if got := s.At(c.update, c.progress); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("rate of update %d at %g of the run is %g, want %g", c.update, c.progress, got, c.want)
		}
	}
}
