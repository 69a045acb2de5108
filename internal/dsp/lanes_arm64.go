package dsp

// available gives the kernels of NEON, which every processor has that Go's arm64
// code runs on.
func available() *kernels { return neon }

var neon = &kernels{
	radix: [6]func(s, m int, yr, yi, xr, xi, tw *float32){2: radix2_NEON, 3: radix3_NEON, 4: radix4_NEON, 5: radix5_NEON},
	split: splitNEON, join: joinNEON, weigh: weighNEON, transpose: transposeNEON,
}
