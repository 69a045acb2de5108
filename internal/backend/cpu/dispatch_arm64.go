package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"golang.org/x/sys/cpu"
)

// Every processor that Go's arm64 code runs on has NEON.
func available() []*kernels {
	sets := []*kernels{neon, portable}
	if cpu.ARM64.HasASIMDDP {
		sets = append([]*kernels{withDots()}, sets...)
	}
	return sets
}

// withDots is neon with the dot products of bytes that later processors have.
func withDots() *kernels {
	k := *neon
	k.name += "+dotprod"
	k.dot[backend.Int8] = int8Dot
	return &k
}

var neon = &kernels{
	name: "neon", nr: 16,
	tile:   []gemmFunc{nil, gemmNEON_1x1, gemmNEON_2x1, gemmNEON_3x1, gemmNEON_4x1, gemmNEON_5x1, gemmNEON_6x1},
	wide:   []gemmFunc{1: gemmNEON_1x4, 2: gemmNEON_2x2},
	wideBy: []int{1: 4, 2: 2},
	peak:   peakNEON, peakFlops: 24 * 4 * 2,
	vector: &vectorKernels{
		pointwise: [...]pointwiseFunc{
			backend.Identity:     pointwiseNEON_identity,
			backend.GELU:         pointwiseNEON_gelu,
			backend.SiLU:         pointwiseNEON_silu,
			backend.GELUErf:      pointwiseNEON_geluerf,
			backend.ReLU:         pointwiseNEON_relu,
			backend.LeakyReLU:    pointwiseNEON_leaky,
			backend.LeakyReLU100: pointwiseNEON_leaky100,
			backend.ELU:          pointwiseNEON_elu,
			backend.Tanh:         pointwiseNEON_tanh,
			backend.Sigmoid:      pointwiseNEON_sigmoid,
			backend.Snake:        pointwiseNEON_snake,
		},
		slopes: [backend.Activations]slopesFunc{
			backend.GELU:         slopesNEON_gelu,
			backend.SiLU:         slopesNEON_silu,
			backend.GELUErf:      slopesNEON_geluerf,
			backend.ReLU:         slopesNEON_relu,
			backend.LeakyReLU:    slopesNEON_leaky,
			backend.LeakyReLU100: slopesNEON_leaky100,
			backend.ELU:          slopesNEON_elu,
			backend.Tanh:         slopesNEON_tanh,
			backend.Sigmoid:      slopesNEON_sigmoid,
		},
		columnSum: columnSumNEON,
		depthwise: depthwiseNEON,
		adamw:     adamwNEON,
		smallest:  smallestNEON,
		edges:     edgesNEON, softEdges: softEdgesNEON, joins: joinsNEON,
		compress:      compressNEON,
		expand:        expandNEON,
		layerNorm:     layerNormNEON,
		rmsNorm:       rmsNormNEON,
		layerNormGrad: layerNormGradNEON,
		softmax:       softmaxNEON,
		softmaxGrad:   softmaxGradNEON,
		transpose:     transposeNEON,
	},
	dot: [3]*dotKernels{backend.Int8: int8Pairs, backend.BFloat16: bf16FMA},
}

var int8Dot = &dotKernels{
	nr: 16, step: 4, rowBytes: 1, columnBytes: 1,
	convert: quantizeNEON,
	tile:    []dotFunc{nil, dotInt8NEON_1x1, dotInt8NEON_2x1, dotInt8NEON_3x1, dotInt8NEON_4x1, dotInt8NEON_5x1, dotInt8NEON_6x1},
	wide:    []dotFunc{1: dotInt8NEON_1x4, 2: dotInt8NEON_2x2},
	wideBy:  []int{1: 4, 2: 2},
}

var int8Pairs = &dotKernels{
	nr: 16, step: 2, rowBytes: 1, columnBytes: 1,
	convert: quantizeNEON,
	tile: []dotFunc{nil,
		dotInt8WordsNEON_1x1, dotInt8WordsNEON_2x1, dotInt8WordsNEON_3x1,
		dotInt8WordsNEON_4x1, dotInt8WordsNEON_5x1, dotInt8WordsNEON_6x1,
	},
	wide:   []dotFunc{1: dotInt8WordsNEON_1x4, 2: dotInt8WordsNEON_2x2},
	wideBy: []int{1: 4, 2: 2},
}

var bf16FMA = &dotKernels{
	nr: 16, step: 2, rowBytes: 4, columnBytes: 2,
	convert: roundValuesNEON,
	tile:    []dotFunc{nil, dotBF16NEON_1x1, dotBF16NEON_2x1, dotBF16NEON_3x1, dotBF16NEON_4x1, dotBF16NEON_5x1, dotBF16NEON_6x1},
	wide:    []dotFunc{1: dotBF16NEON_1x4, 2: dotBF16NEON_2x2},
	wideBy:  []int{1: 4, 2: 2},
}
