package cpu

import "golang.org/x/sys/cpu"

// Features are tested from the bottom up: GODEBUG=cpu.avx2=off alone leaves
// the AVX-512 bits on.
func available() []*kernels {
	sets := []*kernels{portable}
	if cpu.X86.HasAVX && cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		sets = append([]*kernels{avx2}, sets...)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ {
			sets = append([]*kernels{avx512}, sets...)
		}
	}
	return sets
}

var avx2 = &kernels{
	name: "avx2", nr: 16,
	tile:   []gemmFunc{nil, gemm256_1x1, gemm256_2x1, gemm256_3x1, gemm256_4x1, gemm256_5x1, gemm256_6x1},
	wide:   []gemmFunc{1: gemm256_1x4, 2: gemm256_2x2},
	wideBy: []int{1: 4, 2: 2},
	peak:   peak256, peakFlops: 12 * 8 * 2,
	vector: &vectorKernels{
		pointwise:     [3]pointwiseFunc{pointwise256_identity, pointwise256_gelu, pointwise256_silu},
		slopes:        [3]slopesFunc{nil, slopes256_gelu, slopes256_silu},
		columnSum:     columnSum256,
		depthwise:     depthwise256,
		adamw:         adamw256,
		smallest:      smallest256,
		layerNorm:     layerNorm256,
		layerNormGrad: layerNormGrad256,
	},
}

var avx512 = &kernels{
	name: "avx512", nr: 32,
	tile: []gemmFunc{nil,
		gemm512_1x1, gemm512_2x1, gemm512_3x1, gemm512_4x1, gemm512_5x1, gemm512_6x1,
		gemm512_7x1, gemm512_8x1, gemm512_9x1, gemm512_10x1, gemm512_11x1, gemm512_12x1,
	},
	wide:   []gemmFunc{1: gemm512_1x4, 2: gemm512_2x2},
	wideBy: []int{1: 4, 2: 2},
	peak:   peak512, peakFlops: 12 * 16 * 2,
	vector: &vectorKernels{
		pointwise:     [3]pointwiseFunc{pointwise512_identity, pointwise512_gelu, pointwise512_silu},
		slopes:        [3]slopesFunc{nil, slopes512_gelu, slopes512_silu},
		columnSum:     columnSum512,
		depthwise:     depthwise512,
		adamw:         adamw512,
		smallest:      smallest512,
		layerNorm:     layerNorm512,
		layerNormGrad: layerNormGrad512,
	},
}
