package f32

import "math"

// BFloat16 gives the upper half of x rounded to 8 bits of significand, to nearest
// even; a denormal result is a zero of the same sign, and NaN stays NaN.
func BFloat16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		return uint16(bits>>16) | 0x40
	}
	h := uint16((bits + 0x7fff + bits>>16&1) >> 16)
	if h&0x7f80 == 0 {
		h &= 0x8000
	}
	return h
}

// FromBFloat16 gives the value of an upper half.
func FromBFloat16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// FMAFlush is FMA where a result that is below 2⁻¹²⁶ after it was rounded to 24
// bits becomes a zero of its sign, as processors do that flush denormals. Its
// operands are no denormals, and a·b is exact in float64.
func FMAFlush(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	d := float64(c)
	s := p + d
	if math.Abs(s) >= 0x1p-126 || s != s {
		return FMA(a, b, c)
	}
	// From half a unit below on, the sum rounds to the least normal number.
	switch s = roundOdd(s, p, d); {
	case s >= 0x1p-126-0x1p-151:
		return 0x1p-126
	case s <= -(0x1p-126 - 0x1p-151):
		return -0x1p-126
	}
	return float32(math.Copysign(0, s))
}
