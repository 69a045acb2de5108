//go:build !amd64

package dsp

func available() *kernels { return &kernels{} }
