package nn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

// FeedForward has the bits of its parts one after the other on the naive backend, with
// and without biases and scale, whatever the threads and the rows of a step.
func TestFeedForwardEqualsItsParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	const rows, width, hidden = 150, 37, 90
	for _, plain := range []bool{false, true} {
		f := &FeedForward{
			Norm: NewLayerNorm("norm", width), Expand: NewLinear("expand", width, hidden), Func: backend.GELUErf,
			Project: NewLinear("project", hidden, width), Scale: NewLayerScale("scale", width, 1),
		}
		parts := Chain{f.Norm, f.Expand, Activation{f.Func}, f.Project, f.Scale}
		if plain {
			f.Expand.Bias, f.Project.Bias, f.Scale = nil, nil, nil
			parts = parts[:4]
		}
		randomize(f, rng)
		x := random(rows, width, rng)
		want := whole(ref.Backend{}, parts, x).Data
		for _, threads := range []int{1, 2, 5} {
			for _, chunk := range []int{rows, 64, 7} {
				t.Run(fmt.Sprintf("plain %v, %d threads, %d rows", plain, threads, chunk), func(t *testing.T) {
					s := NewStream(cpu.New(threads), 1)
					var got []float32
					for lo := 0; lo < rows; lo += chunk {
						s.Begin()
						got = append(got, f.Step(s, x.Slice(lo, min(lo+chunk, rows))).Data...)
					}
					if !slices.Equal(got, want) {
						t.Error("other bits")
					}
				})
			}
		}
	}
}
