package dsp

import "golang.org/x/sys/cpu"

// available gives the kernels of this machine; features are tested from the
// bottom up.
func available() *kernels {
	switch {
	case !cpu.X86.HasAVX || !cpu.X86.HasAVX2:
		return &kernels{}
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ:
		return avx512
	}
	return avx2
}

type radixFunc = func(s, m int, yr, yi, xr, xi, tw *float32)

var avx512 = &kernels{
	radix: [6]radixFunc{2: radix2_512, 3: radix3_512, 4: radix4_512, 5: radix5_512},
	split: split512, join: join512, weigh: weigh512, transpose: transpose8,
}

var avx2 = &kernels{
	radix: [6]radixFunc{2: radix2_256, 3: radix3_256, 4: radix4_256, 5: radix5_256},
	split: split256, join: join256, weigh: weigh256, transpose: transpose8,
}
