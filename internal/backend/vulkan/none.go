//go:build static || !(amd64 || arm64) || !(linux || darwin || windows)

package vulkan

import (
	"errors"

	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

var errBuild = errors.New("this build has no Vulkan backend")

// Devices fails: this build has none.
func Devices() ([]Info, error) { return nil, errBuild }

// Open fails: this build has none.
func Open(int, int) (*gpu.Backend, error) { return nil, errBuild }
