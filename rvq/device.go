package rvq

import "github.com/sotto-audio/sotto/internal/backend/cpu"

// Device is what a quantizer computes on: nil, or what CPU gives.
type Device interface {
	// Name is "cpu (avx512)" or the like.
	Name() string
}

// CPU is the processor, of which up to so many threads are used; 0 is all. Codes do
// not depend on it.
func CPU(threads int) Device { return cpu.New(threads) }
