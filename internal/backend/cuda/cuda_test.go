//go:build !static && (amd64 || arm64) && (linux || windows)

package cuda_test

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cuda"
	"github.com/sotto-audio/sotto/internal/backend/gpu"
	"github.com/sotto-audio/sotto/internal/backend/gpu/gputest"
)

// open opens a device, or what testdata/host/build.sh makes in place of a driver.
func open(t *testing.T) *gpu.Backend {
	b, err := cuda.Open(-1, 2)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	t.Cleanup(b.Close)
	t.Log(b.Name())
	return b
}

// TestOperations holds every step of the kernels to that of package ref, so that the
// bits are.
func TestOperations(t *testing.T) { backendtest.Run(t, open(t), 0) }

// TestBLAS holds cuBLAS's products to those of package ref.
func TestBLAS(t *testing.T) {
	b, err := cuda.OpenBLAS(-1, 2)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	t.Cleanup(b.Close)
	backendtest.Run(t, b, 1e-5, "MatMul", "MatMulTN", "Nearest")
}

// TestTensorCores holds products of reduced precision, where a device has units for
// them, to the products of the rounded factors.
func TestTensorCores(t *testing.T) {
	b := open(t)
	if !b.Tensor() {
		t.Skip("SKIPPED: no tensor cores")
	}
	backendtest.Tensor(t, b)
}

// TestReplay holds graphs to the operations that they were made of.
func TestReplay(t *testing.T) { gputest.Replay(t, open(t)) }
