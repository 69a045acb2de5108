//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan_test

import (
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/vulkan"
)

// open opens a device for a test, or skips it where there is none.
func open(t testing.TB) *vulkan.Backend {
	b, err := vulkan.Open(-1, 2)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	t.Cleanup(b.(*vulkan.Backend).Close)
	return b.(*vulkan.Backend)
}

func TestOperations(t *testing.T) {
	var b backend.Backend = open(t)
	t.Log(b.Name())
	backendtest.Run(t, b, 1e-5)
}

var shared = sync.OnceValues(func() (backend.Backend, error) { return vulkan.Open(-1, 1) })

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
