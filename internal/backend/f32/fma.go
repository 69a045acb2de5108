// Package f32 defines, one value at a time, the float32 functions that every
// backend reproduces bit for bit.
package f32

import "math"

// FMA gives a·b + c rounded once, as the IEEE 754 operation does.
//
// The product is exact in float64, so only the sum rounds before the conversion
// does. Rounding twice is harmful where the float64 sum sits exactly half way
// between two float32 values, or where the result is subnormal and float32 has
// fewer bits: there the sum is first rounded to odd, which keeps the
// information that it was inexact (Boldo & Melquiond 2008).
func FMA(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	d := float64(c)
	s := p + d
	if bits := math.Float64bits(s); bits&(1<<29-1) == 1<<28 || math.Abs(s) < 0x1p-126 {
		return float32(roundOdd(s, p, d))
	}
	return float32(s)
}

// roundOdd turns s, the nearest value to p + d, into the one of the two
// neighbours of p + d that has an odd significand, unless the sum is exact.
func roundOdd(s, p, d float64) float64 {
	// The error of the sum is exact (Knuth's two-sum).
	v := s - p
	err := (p - (s - v)) + (d - v)
	bits := math.Float64bits(s)
	if err == 0 || bits&1 == 1 {
		return s
	}
	if (err > 0) == (s > 0) {
		return math.Float64frombits(bits + 1)
	}
	return math.Float64frombits(bits - 1)
}

// Sqrt gives the square root. The float64 root rounds twice without harm.
func Sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
