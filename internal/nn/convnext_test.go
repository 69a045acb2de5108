package nn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

// Blocks and the sum of two linear layers have the bits of their single operations
// on the naive backend, whatever the threads and the rows of a step: few, which
// go operation by operation, or many, which go in parts through all of them.
func TestPartsOfRowsEqualSingleOperations(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	const rows, width = 150, 37
	blocks := []*ConvNeXt{
		NewConvNeXt("ahead", width, 2*width, 7, 2, 0.3),
		NewConvNeXt("causal", width, 2*width, 7, 0, 0.3),
	}
	a, b := NewLinear("a", width, 21), NewLinear("b", width, 21)
	for _, p := range Params(blocks[0], blocks[1], a, b) {
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64() / 4)
		}
	}
	x := random(rows, width, rng)
	run := func(s *Stream, chunk int) (y []float32) {
		for lo := 0; lo < rows; lo += chunk {
			s.Begin()
			h := x.Slice(lo, min(lo+chunk, rows))
			y = append(y, ApplySum(s, a, ApplyConvNeXts(s, blocks, h), b, h).Data...)
		}
		return y
	}
	want := run(NewStream(ref.Backend{}, 1), rows)
	for _, threads := range []int{1, 2, 5, 40} {
		for _, chunk := range []int{rows, 101, 33, 4} {
			t.Run(fmt.Sprintf("%d threads, %d rows", threads, chunk), func(t *testing.T) {
				if !slices.Equal(run(NewStream(cpu.New(threads), 1), chunk), want) {
					t.Error("other bits")
				}
			})
		}
	}
}
