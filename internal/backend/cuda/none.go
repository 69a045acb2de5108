//go:build static || !(amd64 || arm64) || !(linux || windows)

package cuda

import (
	"errors"

	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

var errBuild = errors.New("this build has no CUDA backend")

// Devices fails: this build has none.
func Devices() ([]Info, error) { return nil, errBuild }

// Open fails: this build has none.
func Open(int, int) (*gpu.Backend, error) { return nil, errBuild }

// OpenBLAS fails: this build has none.
func OpenBLAS(int, int) (*gpu.Backend, error) { return nil, errBuild }
