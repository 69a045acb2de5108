// Package gputest holds what is expected of every driver beside the operations.
package gputest

import (
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

// Replay runs a step again and again: it is recorded once, and gives what it gave.
func Replay(t *testing.T, b *gpu.Backend) {
	matrix := make([]float32, 32*32)
	for i := range matrix {
		matrix[i] = float32(i%7) - 3
	}
	w := b.Pack(matrix, 32, 32)
	x, y, start := b.New(8, 32), b.New(8, 32), make([]float32, 8*32)
	for i := range start {
		start[i] = float32(i % 5)
	}
	// Longer than what is collected before it starts.
	step := func() []float32 {
		b.Upload(x, start)
		for range 100 {
			b.MatMul(y, x, w, backend.Epilogue{Bias: matrix[:32], Act: backend.GELU})
			b.LayerNorm(x, y, nil, nil, 1e-5)
		}
		b.Wait()
		return slices.Clone(x.Data)
	}
	want := step()
	operations, recorded := b.Recorded()
	for i := range 10 {
		if got := step(); !slices.Equal(got, want) {
			t.Fatalf("step %d gives other values than the first", i+2)
		}
	}
	if n, r := b.Recorded(); r != recorded || n != 11*operations {
		t.Errorf("%d operations in %d recordings after 11 steps, %d in %d after the first", n, r, operations, recorded)
	}
}
