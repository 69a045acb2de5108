package rvq_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/rvq"
)

// Codebooks are learned from vectors; each further residual level brings what
// is decoded closer to what was encoded.
func ExampleTrainer() {
	rng := rand.New(rand.NewPCG(1, 2))
	shape := rvq.Config{Dim: 8, Groups: 2, Levels: 3, Size: 64}
	vectors := make([]float32, 2000*shape.Dim)
	for i := range vectors {
		vectors[i] = float32(rng.NormFloat64())
	}
	trainer, err := rvq.NewTrainer(shape, rvq.DefaultTrainConfig(), nil, rng)
	if err != nil {
		fmt.Println(err)
		return
	}
	trainer.Start(vectors)

	decoded := make([]float32, len(vectors))
	for levels := 1; levels <= shape.Levels; levels++ {
		codes := make([]int32, 2000*levels*shape.Groups)
		trainer.Encode(codes, vectors, levels)
		if err := trainer.Decode(decoded, codes, levels); err != nil {
			fmt.Println(err)
			return
		}
		var signal, noise float64
		for i, v := range vectors {
			signal += float64(v * v)
			noise += float64((v - decoded[i]) * (v - decoded[i]))
		}
		fmt.Printf("%2d bits a vector: error %s of the energy\n", levels*shape.Groups*6, percent(noise/signal))
	}
	// Output:
	// 12 bits a vector: error below 25 % of the energy
	// 24 bits a vector: error below 5 % of the energy
	// 36 bits a vector: error below 1 % of the energy
}

// percent rounds up to a coarse bound, so that the example does not hang on the
// last digit.
func percent(share float64) string {
	for _, bound := range []float64{1, 2, 5, 10, 25, 50} {
		if 100*share < bound {
			return fmt.Sprintf("below %g %%", bound)
		}
	}
	return "large"
}
