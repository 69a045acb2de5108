// Package vulkan is the backend for graphics processors, through Vulkan 1.2. The
// library is found when a device is first asked for: nothing is linked, and a
// machine without it loses nothing but the device.
//
// A row of operations that ran before, as in the next step of a stream, is submitted
// again as it was recorded. Shaders are compiled without contraction, but drivers round
// divisions and fused products as they like: results are not the processor's bits.
package vulkan

import "errors"

// Info describes a device.
type Info struct {
	// Index is what Open takes.
	Index  int
	Name   string
	Memory uint64 // bytes
	// Software is a device that the processor stands in for.
	Software bool
}

// ErrNone is the error of Open and Devices where there is no device.
var ErrNone = errors.New("no Vulkan device")
