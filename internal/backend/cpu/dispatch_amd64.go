package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"golang.org/x/sys/cpu"
)

// Features are tested from the bottom up: GODEBUG=cpu.avx2=off alone leaves
// the AVX-512 bits on.
func available() []*kernels {
	sets := []*kernels{portable}
	if cpu.X86.HasAVX && cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		sets = append([]*kernels{avx2}, sets...)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ {
			sets = append([]*kernels{avx512}, sets...)
			if cpu.X86.HasAVX512VNNI {
				sets = append([]*kernels{withDots()}, sets...)
			}
		}
	}
	return sets
}

// withDots is avx512 with the instructions for products of reduced precision that
// this machine has beside VNNI.
func withDots() *kernels {
	k := *avx512
	k.name += "+vnni"
	k.dot[backend.Int8] = int8VNNI
	if cpu.X86.HasAVX512BF16 {
		k.name += "+bf16"
		k.dot[backend.BFloat16] = bf16Pairs
	}
	return &k
}

var avx2 = &kernels{
	name: "avx2", nr: 16,
	tile: []gemmFunc{nil, gemm256_1x1, gemm256_2x1, gemm256_3x1, gemm256_4x1, gemm256_5x1, gemm256_6x1},
	half: []gemmFunc{nil,
		gemm256_1xhalf, gemm256_2xhalf, gemm256_3xhalf, gemm256_4xhalf, gemm256_5xhalf, gemm256_6xhalf,
	},
	wide:   []gemmFunc{1: gemm256_1x4, 2: gemm256_2x2},
	wideBy: []int{1: 4, 2: 2},
	peak:   peak256, peakFlops: 12 * 8 * 2,
	vector: &vectorKernels{
		pointwise: [...]pointwiseFunc{
			backend.Identity:     pointwise256_identity,
			backend.GELU:         pointwise256_gelu,
			backend.SiLU:         pointwise256_silu,
			backend.GELUErf:      pointwise256_geluerf,
			backend.ReLU:         pointwise256_relu,
			backend.LeakyReLU:    pointwise256_leaky,
			backend.LeakyReLU100: pointwise256_leaky100,
			backend.ELU:          pointwise256_elu,
			backend.Tanh:         pointwise256_tanh,
			backend.Sigmoid:      pointwise256_sigmoid,
			backend.Snake:        pointwise256_snake,
		},
		slopes: [backend.Activations]slopesFunc{
			backend.GELU:         slopes256_gelu,
			backend.SiLU:         slopes256_silu,
			backend.GELUErf:      slopes256_geluerf,
			backend.ReLU:         slopes256_relu,
			backend.LeakyReLU:    slopes256_leaky,
			backend.LeakyReLU100: slopes256_leaky100,
			backend.ELU:          slopes256_elu,
			backend.Tanh:         slopes256_tanh,
			backend.Sigmoid:      slopes256_sigmoid,
		},
		columnSum: columnSum256,
		depthwise: depthwise256,
		adamw:     adamw256,
		smallest:  smallest256,
		edges:     edges256, softEdges: softEdges256, joins: joins256,
		compress:      compress256,
		expand:        expand256,
		polar:         polar256,
		layerNorm:     layerNorm256,
		rmsNorm:       rmsNorm256,
		layerNormGrad: layerNormGrad256,
		softmax:       softmax256,
		softmaxGrad:   softmaxGrad256,
		transpose:     transpose8,
	},
	dot: [3]*dotKernels{backend.Int8: int8Words, backend.BFloat16: bf16FMA256},
}

var avx512 = &kernels{
	name: "avx512", nr: 32,
	tile: []gemmFunc{nil,
		gemm512_1x1, gemm512_2x1, gemm512_3x1, gemm512_4x1, gemm512_5x1, gemm512_6x1,
		gemm512_7x1, gemm512_8x1, gemm512_9x1, gemm512_10x1, gemm512_11x1, gemm512_12x1,
	},
	half: []gemmFunc{nil,
		gemm512_1xhalf, gemm512_2xhalf, gemm512_3xhalf, gemm512_4xhalf, gemm512_5xhalf, gemm512_6xhalf,
		gemm512_7xhalf, gemm512_8xhalf, gemm512_9xhalf, gemm512_10xhalf, gemm512_11xhalf, gemm512_12xhalf,
	},
	wide:   []gemmFunc{1: gemm512_1x4, 2: gemm512_2x2},
	wideBy: []int{1: 4, 2: 2},
	peak:   peak512, peakFlops: 12 * 16 * 2,
	vector: &vectorKernels{
		pointwise: [...]pointwiseFunc{
			backend.Identity:     pointwise512_identity,
			backend.GELU:         pointwise512_gelu,
			backend.SiLU:         pointwise512_silu,
			backend.GELUErf:      pointwise512_geluerf,
			backend.ReLU:         pointwise512_relu,
			backend.LeakyReLU:    pointwise512_leaky,
			backend.LeakyReLU100: pointwise512_leaky100,
			backend.ELU:          pointwise512_elu,
			backend.Tanh:         pointwise512_tanh,
			backend.Sigmoid:      pointwise512_sigmoid,
			backend.Snake:        pointwise512_snake,
		},
		slopes: [backend.Activations]slopesFunc{
			backend.GELU:         slopes512_gelu,
			backend.SiLU:         slopes512_silu,
			backend.GELUErf:      slopes512_geluerf,
			backend.ReLU:         slopes512_relu,
			backend.LeakyReLU:    slopes512_leaky,
			backend.LeakyReLU100: slopes512_leaky100,
			backend.ELU:          slopes512_elu,
			backend.Tanh:         slopes512_tanh,
			backend.Sigmoid:      slopes512_sigmoid,
		},
		columnSum: columnSum512,
		depthwise: depthwise512,
		adamw:     adamw512,
		smallest:  smallest512,
		edges:     edges512, softEdges: softEdges512, joins: joins512,
		compress:      compress512,
		expand:        expand512,
		polar:         polar512,
		layerNorm:     layerNorm512,
		rmsNorm:       rmsNorm512,
		layerNormGrad: layerNormGrad512,
		softmax:       softmax512,
		softmaxGrad:   softmaxGrad512,
		transpose:     transpose8,
	},
	dot: [3]*dotKernels{backend.Int8: int8Words, backend.BFloat16: bf16FMA512},
}

var int8VNNI = &dotKernels{
	nr: 32, step: 4, rowBytes: 1, columnBytes: 1, offset: 128,
	convert: quantize512,
	tile: []dotFunc{nil,
		dotInt8VNNI512_1x1, dotInt8VNNI512_2x1, dotInt8VNNI512_3x1, dotInt8VNNI512_4x1, dotInt8VNNI512_5x1, dotInt8VNNI512_6x1,
		dotInt8VNNI512_7x1, dotInt8VNNI512_8x1, dotInt8VNNI512_9x1, dotInt8VNNI512_10x1, dotInt8VNNI512_11x1, dotInt8VNNI512_12x1,
	},
	wide:   []dotFunc{1: dotInt8VNNI512_1x4, 2: dotInt8VNNI512_2x2},
	wideBy: []int{1: 4, 2: 2},
}

var int8Words = &dotKernels{
	nr: 16, step: 2, rowBytes: 2, columnBytes: 1,
	convert: quantize256,
	tile:    []dotFunc{nil, dotInt8256_1x1, dotInt8256_2x1, dotInt8256_3x1, dotInt8256_4x1, dotInt8256_5x1, dotInt8256_6x1},
	wide:    []dotFunc{1: dotInt8256_1x4, 2: dotInt8256_2x2},
	wideBy:  []int{1: 4, 2: 2},
}

var bf16Pairs = &dotKernels{
	nr: 32, step: 2, rowBytes: 2, columnBytes: 2,
	convert: roundPairs512,
	tile: []dotFunc{nil,
		dotBF16512_1x1, dotBF16512_2x1, dotBF16512_3x1, dotBF16512_4x1, dotBF16512_5x1, dotBF16512_6x1,
		dotBF16512_7x1, dotBF16512_8x1, dotBF16512_9x1, dotBF16512_10x1, dotBF16512_11x1, dotBF16512_12x1,
	},
	wide:   []dotFunc{1: dotBF16512_1x4, 2: dotBF16512_2x2},
	wideBy: []int{1: 4, 2: 2},
}

var bf16FMA512 = &dotKernels{
	nr: 32, step: 2, rowBytes: 4, columnBytes: 2,
	convert: roundValues512,
	tile: []dotFunc{nil,
		dotBF16FMA512_1x1, dotBF16FMA512_2x1, dotBF16FMA512_3x1, dotBF16FMA512_4x1, dotBF16FMA512_5x1, dotBF16FMA512_6x1,
		dotBF16FMA512_7x1, dotBF16FMA512_8x1, dotBF16FMA512_9x1, dotBF16FMA512_10x1, dotBF16FMA512_11x1, dotBF16FMA512_12x1,
	},
	wide:   []dotFunc{1: dotBF16FMA512_1x4, 2: dotBF16FMA512_2x2},
	wideBy: []int{1: 4, 2: 2},
}

var bf16FMA256 = &dotKernels{
	nr: 16, step: 2, rowBytes: 4, columnBytes: 2,
	convert: roundValues256,
	tile:    []dotFunc{nil, dotBF16FMA256_1x1, dotBF16FMA256_2x1, dotBF16FMA256_3x1, dotBF16FMA256_4x1, dotBF16FMA256_5x1, dotBF16FMA256_6x1},
	wide:    []dotFunc{1: dotBF16FMA256_1x4, 2: dotBF16FMA256_2x2},
	wideBy:  []int{1: 4, 2: 2},
}
