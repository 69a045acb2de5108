package tflite

import "math"

// multiplier is a positive real number as int8 kernels hold it: mantissa·2^(shift−31).
type multiplier struct {
	mantissa int32
	shift    int
}

func newMultiplier(x float64) multiplier {
	if x == 0 {
		return multiplier{}
	}
	f, shift := math.Frexp(x)
	m := int64(math.Round(f * (1 << 31)))
	if m == 1<<31 {
		m /= 2
		shift++
	}
	if shift < -31 {
		return multiplier{}
	}
	return multiplier{int32(m), shift}
}

// times is x times the multiplier: a rounding doubling product, then a rounding
// shift.
func (m multiplier) times(x int32) int32 {
	if m.shift > 0 {
		x <<= m.shift
	}
	return roundingShift(doublingHigh(x, m.mantissa), max(-m.shift, 0))
}

// doublingHigh is the upper half of 2·a·b, rounded, halves upwards.
func doublingHigh(a, b int32) int32 {
	if a == math.MinInt32 && b == math.MinInt32 {
		return math.MaxInt32
	}
	ab := int64(a) * int64(b)
	nudge := int64(1 << 30)
	if ab < 0 {
		nudge = 1 - 1<<30
	}
	return int32((ab + nudge) / (1 << 31))
}

// roundingShift is x/2^n, rounded, halves away from zero.
func roundingShift(x int32, n int) int32 {
	if n == 0 {
		return x
	}
	mask := int32(1)<<n - 1
	threshold := mask >> 1
	if x < 0 {
		threshold++
	}
	y := x >> n
	if x&mask > threshold {
		y++
	}
	return y
}

func clampInt8(x int32) int8 { return int8(min(max(x, math.MinInt8), math.MaxInt8)) }
