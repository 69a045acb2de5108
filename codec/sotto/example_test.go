package sotto_test

import (
	"context"
	"fmt"
	"math"

	"github.com/sotto-audio/sotto/codec/sotto"
)

// tone stands for a recording: mono samples in [-1, 1] at 16 kHz.
func tone(seconds float64) []float32 {
	pcm := make([]float32, int(seconds*16000))
	for i := range pcm {
		pcm[i] = float32(0.1 * math.Sin(2*math.Pi*220*float64(i)/16000))
	}
	return pcm
}

// The model that is part of the package turns a signal into tokens and back.
func ExampleDefault() {
	model, err := sotto.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	tokens, err := model.Encode(ctx, tone(2), 6) // six codebooks: 3 kbit/s
	if err != nil {
		fmt.Println(err)
		return
	}
	pcm, err := model.Decode(ctx, tokens)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tokens.Frames, "frames of", tokens.Codebooks, "codes,", len(pcm), "samples")
	// Output: 100 frames of 6 codes, 32000 samples
}

// A stream comes in pieces of any size and gives the same tokens.
func ExampleModel_NewEncoder() {
	model, err := sotto.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	encoder, err := model.NewEncoder(2) // two codebooks: 1 kbit/s
	if err != nil {
		fmt.Println(err)
		return
	}
	var codes []int32
	for pcm := tone(1); len(pcm) > 0; {
		n := min(len(pcm), 441)
		if codes, err = encoder.Encode(codes, pcm[:n]); err != nil {
			fmt.Println(err)
			return
		}
		pcm = pcm[n:]
	}
	if codes, err = encoder.Flush(codes); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(codes)/encoder.Codebooks(), "frames; latency", model.Info().Latency)
	// Output: 50 frames; latency 60ms
}
