// Package vulkan is the backend for graphics processors, through Vulkan 1.2. The
// library is found when a device is first asked for: nothing is linked, and a
// machine without it loses nothing but the device.
//
// Tensors are memory that both sides see, so that a host that has called Wait may
// read and write Data as it does on the processor. Operations are collected; they
// run when enough are there or when somebody waits. A row of operations that ran
// before, as in the next step of a stream, is submitted again as it was recorded.
//
// Results do not depend on the rows beside them, on batch or chunks: every output
// has one fixed order of sums, and shaders are compiled without contraction. They
// are within 1e-5·Σ|a·b| of the exact ones, but not the processor's bits: drivers
// round divisions and fused products as they like.
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
