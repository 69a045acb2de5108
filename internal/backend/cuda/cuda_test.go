//go:build !static && (amd64 || arm64) && (linux || windows)

package cuda_test

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cuda"
)

// TestOperations runs on a device, or on what testdata/host/build.sh makes in place of
// a driver. Every step of the kernels is that of package ref, so that the bits are.
func TestOperations(t *testing.T) {
	b, err := cuda.Open(-1, 2)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	defer b.Close()
	t.Log(b.Name())
	backendtest.Run(t, b, 0)
}
