//go:build !amd64

package dsp

func more() map[string]*kernels { return nil }
