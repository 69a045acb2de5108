// Package cuda is the backend for NVIDIA's graphics processors, through the driver's
// API. The library is found when a device is first asked for: nothing is linked, and no
// toolkit is needed. The kernels are those of backend/vulkan, compiled to PTX.
package cuda

import "errors"

// Info describes a device.
type Info struct {
	// Index is what Open takes.
	Index      int
	Name       string
	Memory     uint64 // bytes
	Capability [2]int // major, minor
}

// ErrNone is the error of Open and Devices where there is no device.
var ErrNone = errors.New("no CUDA device")
