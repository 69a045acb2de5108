package se_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/rvq"
	"github.com/sotto-audio/sotto/rvq/se"
)

// The size of a codebook comes out of the data: frames around seven directions give
// seven entries.
func ExampleBuild() {
	rng := rand.New(rand.NewPCG(1, 1))
	const dim, frames = 7, 700
	x := make([]float32, frames*dim)
	for i := range x {
		x[i] = 0.05 * float32(rng.NormFloat64())
		if i%dim == (i/dim)%dim {
			x[i]++
		}
	}
	levels, err := se.Build(context.Background(), x, dim, 2, se.Recipe{
		Nodes: frames, Edges: se.Edges{Threshold: 0.2}, Group: se.DefaultGroup, Refine: 1,
		Assign: se.GameSums, Game: se.Edges{Threshold: 0.2},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	size := len(levels[0].Entries) / dim
	q, err := rvq.New(rvq.Config{Dim: dim, Groups: 1, Levels: 1, Size: size}, levels[0].Entries)
	if err != nil {
		fmt.Println(err)
		return
	}
	codes := make([]int32, frames)
	q.WithGames([]rvq.Game{levels[0].Game}).On(nil).Encode(codes, x, 1)
	usage := rvq.NewUsage([]int{size})
	usage.Add(codes, 1)
	fmt.Printf("%d entries, %.0f %% of them used, %.1f bits a code\n", size, 100*usage.Used(0), math.Round(10*usage.Entropy(0))/10)
	// Output:
	// 7 entries, 100 % of them used, 2.8 bits a code
}
