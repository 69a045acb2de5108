//go:build !amd64

package train

// sets are all sets of kernels that this machine runs.
func sets() []*kernels { return nil }
