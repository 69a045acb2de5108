package se

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
)

func TestDisentangleLowersDependence(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 1))
	const n, dim = 40, 8
	c := blobs(rng, n, dim, 3, 0.5)
	members := make([]float64, n)
	for i := range members {
		members[i] = 1 + 10*rng.Float64()
	}
	before := Dependence(c, dim)
	moved := func(weight float64) (dependence, change float64) {
		d := append([]float32(nil), c...)
		if err := Disentangle(context.Background(), d, dim, members, weight); err != nil {
			t.Fatal(err)
		}
		var a, b float64
		for i, v := range d {
			a += members[i/dim] * math.Pow(float64(v-c[i]), 2)
			b += members[i/dim] * math.Pow(float64(c[i]), 2)
		}
		return Dependence(d, dim), a / b
	}
	if d, change := moved(0); d != before || change != 0 {
		t.Errorf("weight 0 changes the centres by %g", change)
	}
	last, lastChange := before, 0.0
	for _, weight := range []float64{0.01, 0.1, 1} {
		d, change := moved(weight)
		if d >= last || change <= lastChange {
			t.Errorf("weight %g: dependence %.4f after %.4f, change %g after %g", weight, d, last, change, lastChange)
		}
		// Descent from the means: what is won pays for what is lost.
		if weight*d+change > weight*before {
			t.Errorf("weight %g: the objective rose", weight)
		}
		last, lastChange = d, change
	}
	t.Logf("%.3f bits before, %.3f after, at %.3f of the energy", before, last, lastChange)
}

func TestDependenceFormula(t *testing.T) {
	// One pair of cosine 0.6.
	if got, want := Dependence([]float32{1, 0, 3, 4}, 2), -0.5*math.Log2(1-0.36); math.Abs(got-want) > 1e-4 {
		t.Errorf("%g bits, want %g", got, want)
	}
	for name, c := range map[string][]float32{"one": {1, 2}, "none": {}, "right angle": {1, 0, 0, 1}, "zeros": {0, 0, 1, 1}} {
		if got := Dependence(c, 2); math.Abs(got) > 1e-4 {
			t.Errorf("%s: %g bits", name, got)
		}
	}
	if got := Dependence([]float32{1, 2, 2, 4}, 2); math.Abs(got-8.3) > 0.1 {
		t.Errorf("parallel: %g bits", got)
	}
}

// The gradient is that of finite differences, seen through one small step.
func TestDependenceGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 1))
	const n, dim, h = 6, 4, 1e-6
	u := unitRows(blobs(rng, n, dim, n, 0.5), dim)
	_, g := dependence(u, dim, u)
	for i := range u {
		old := u[i]
		u[i] = old + h
		up, _ := dependence(u, dim, nil)
		u[i] = old - h
		down, _ := dependence(u, dim, nil)
		u[i] = old
		if want := (up - down) / (2 * h); math.Abs(g[i]-want) > 1e-6 {
			t.Errorf("value %d: gradient %g, differences %g", i, g[i], want)
		}
	}
}

// Blobs far apart become the entries, level by level the error falls, and each way
// of assignment finds the blob.
func TestBuildFindsBlobs(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 1))
	const dim = 12
	x := blobs(rng, 1500, dim, 20, 0.1)
	for _, assign := range []Assignment{Nearest, GameSums, GameExact} {
		r := Recipe{Nodes: 600, Edges: Edges{Threshold: 0.5}, Group: 128, Assign: assign, Game: Edges{Threshold: 0.5}}
		if assign == Nearest {
			r.Neighbours, r.Refine = 5, 3
		}
		var sizes []int
		var errors []float64
		levels, err := Build(context.Background(), x, dim, 3, r, func(e Event) {
			if e.Done {
				sizes, errors = append(sizes, e.Size), append(errors, e.Error)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(levels) != 3 || len(levels[0].Entries) != sizes[0]*dim {
			t.Fatalf("%s: %d levels of %v entries", assign, len(levels), sizes)
		}
		if sizes[0] < 10 || sizes[0] > 200 {
			t.Errorf("%s: %d entries for 20 blobs", assign, sizes[0])
		}
		if errors[0] > 0.35 || errors[1] >= errors[0] || errors[2] >= errors[1] {
			t.Errorf("%s: errors %v", assign, errors)
		}
		t.Log(assign, sizes, errors)
	}
}

func TestBuildRefusesRecipes(t *testing.T) {
	good := Recipe{Nodes: 4, Group: 4, Assign: Nearest}
	x := []float32{1, 0, 0, 1, 1, 1, 2, 1}
	if _, err := Build(context.Background(), x, 2, 1, good, nil); err != nil {
		t.Fatal(err)
	}
	if err := PaperRecipe().Validate(); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(*Recipe){
		func(r *Recipe) { r.Nodes = 5 }, func(r *Recipe) { r.Nodes = 0 }, func(r *Recipe) { r.Group = 0 },
		func(r *Recipe) { r.Assign = "" }, func(r *Recipe) { r.Disentangle = math.NaN() },
		func(r *Recipe) { r.Threshold = 1 }, func(r *Recipe) { r.Game.Soft = -1 }, func(r *Recipe) { r.Refine = -1 },
	} {
		r := good
		change(&r)
		if _, err := Build(context.Background(), x, 2, 1, r, nil); err == nil {
			t.Errorf("recipe %d is accepted", i)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Build(ctx, x, 2, 1, good, nil); err == nil {
		t.Error("a cancelled context builds")
	}
}
