package dsp

import "golang.org/x/sys/cpu"

// more are the kernels that this machine could run beside the best ones.
func more() map[string]*kernels {
	if cpu.X86.HasAVX2 {
		return map[string]*kernels{"avx2": avx2}
	}
	return nil
}
