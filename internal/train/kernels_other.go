//go:build !amd64

package train

func available() *kernels { return &kernels{} }
