//go:build !amd64 && !arm64

package cpu

func available() []*kernels { return []*kernels{portable} }
