package rvq

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// Device is what a quantizer computes on: nil, or what CPU gives.
type Device interface {
	// Name is "cpu (avx512)" or the like.
	Name() string
}

// CPU is the processor, of which up to so many threads are used; 0 is all. Codes do
// not depend on it.
func CPU(threads int) Device { return cpu.New(threads) }

// on is the backend of a device.
func on(device Device) backend.Backend {
	if device == nil {
		return cpu.New(0)
	}
	b, ok := device.(backend.Backend)
	if !ok {
		panic(fmt.Sprintf("rvq: %q is no device of this module", device.Name()))
	}
	return b
}
