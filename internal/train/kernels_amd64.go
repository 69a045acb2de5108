package train

import "golang.org/x/sys/cpu"

// available gives the kernels of this machine.
func available() *kernels {
	switch {
	case !cpu.X86.HasAVX2 || !cpu.X86.HasFMA:
		return &kernels{}
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ:
		return avx512
	}
	return avx2
}

var (
	avx512 = &kernels{magnitudes512, band512, turn512, compressed512, add512}
	avx2   = &kernels{magnitudes256, band256, turn256, compressed256, add256}
)
