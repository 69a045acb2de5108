//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan_test

import (
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/gpu"
	"github.com/sotto-audio/sotto/internal/backend/vulkan"
)

// open opens a device for a test, or skips it where there is none.
func open(t testing.TB) *gpu.Backend {
	b, err := vulkan.Open(-1, 2)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestOperations(t *testing.T) {
	var b backend.Backend = open(t)
	t.Log(b.Name())
	backendtest.Run(t, b, 1e-5)
}

var shared = sync.OnceValues(func() (*gpu.Backend, error) { return vulkan.Open(-1, 1) })

// FuzzOperations runs operations on random shapes.
func FuzzOperations(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		b, err := shared()
		if err != nil {
			t.Skip("SKIPPED: ", err)
		}
		backendtest.RunOne(t, b, 1e-5, seed)
	})
}

// TestManyRows multiplies more rows than one dispatch takes, as the last layers of
// models that work on samples do.
func TestManyRows(t *testing.T) {
	b := open(t)
	const rows = 9*65535 + 5
	x, y := b.New(rows, 2), b.New(rows, 3)
	for r := range rows {
		x.Row(r)[0], x.Row(r)[1] = float32(r%1000), 1
	}
	b.MatMul(y, x, b.Pack([]float32{1, 2, 3, 10, 20, 30}, 2, 3), backend.Epilogue{Residual: y})
	b.Wait()
	for r := range rows {
		for n := range 3 {
			if want := float32((r%1000 + 10) * (n + 1)); y.Row(r)[n] != want {
				t.Fatalf("row %d: %v, want %v", r, y.Row(r)[n], want)
			}
		}
	}
}
