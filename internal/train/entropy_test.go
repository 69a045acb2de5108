package train

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/rvq"
)

// walks makes clips of codes from a latent that wanders, so that the frames
// before tell about the next.
func walks(t *testing.T, rng *rand.Rand, clips, frames int) (*rvq.GRVQ, [][]int32) {
	t.Helper()
	c := rvq.Config{Dim: 8, Groups: 1, Levels: 3, Size: 32}
	entries := make([]float32, c.Levels*c.Size*c.Dim)
	for i := range entries {
		entries[i] = float32(rng.NormFloat64()) / float32(1+i/(c.Size*c.Dim))
	}
	q, err := rvq.New(c, entries)
	if err != nil {
		t.Fatal(err)
	}
	quantizer := q.On(cpu.New(1))
	all := make([][]int32, clips)
	for i := range all {
		z := make([]float32, frames*c.Dim)
		for k := range z {
			if k >= c.Dim {
				z[k] = 0.95 * z[k-c.Dim]
			}
			z[k] += 0.3 * float32(rng.NormFloat64())
		}
		all[i] = make([]int32, frames*c.Levels)
		quantizer.Encode(all[i], z, c.Levels)
	}
	return q, all
}

// The network of integers spends what the one in floating point does, and less
// than tables without context.
func TestEntropyLearnsAndRounds(t *testing.T) {
	q, clips := walks(t, rand.New(rand.NewPCG(1, 1)), 40, 300)
	c := DefaultEntropyConfig()
	c.Trunk, c.Hidden, c.Out, c.Epochs, c.Packets = 32, 32, 8, 20, 16
	e, err := NewEntropy(c, q, clips[:30], cpu.New(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(context.Background(), io.Discard); err != nil {
		t.Fatal(err)
	}
	n, err := e.Network()
	if err != nil {
		t.Fatal(err)
	}
	// The float cost of whole packets of all codebooks.
	e.clips = clips[30:]
	var float float64
	for range 10 {
		float += e.step(e.draw(), 0) / 10
	}
	cost := func(static bool) float64 {
		coder, err := n.NewCoder(3, static)
		if err != nil {
			t.Fatal(err)
		}
		bytes, frames := 0, 0
		for _, clip := range e.clips {
			for at := 0; at < len(clip); at += 50 * 3 {
				bytes += len(coder.Encode(nil, [][]int32{clip[at : at+150]}))
				frames += 50
			}
		}
		return 8 * float64(bytes) / float64(frames)
	}
	t.Logf("a frame: %.2f bits in floating point, %.2f in integers, %.2f without context", float, cost(false), cost(true))
	if integer, static := cost(false), cost(true); integer > 1.05*float || integer > 0.9*static {
		t.Errorf("a frame costs %.2f bits in floating point, %.2f in integers, %.2f without context", float, integer, static)
	}
}
