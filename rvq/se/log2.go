package se

import "math"

// log2 gives the logarithm to base 2 of x: −Inf of 0, NaN below. It takes the
// steps of FDLIBM's log for the fraction (s = f/(2+f), an even polynomial in s), one
// by one, so that all machines get the same bits; math.Log has its own assembly on
// some. The error is below 1e-15, relative to the larger of 1 and the result.
func log2(x float64) float64 {
	const (
		l1 = 6.666666666666735130e-01
		l2 = 3.999999999940941908e-01
		l3 = 2.857142874366239149e-01
		l4 = 2.222219843214978396e-01
		l5 = 1.818357216161805012e-01
		l6 = 1.531383769920937332e-01
		l7 = 1.479819860511658591e-01
	)
	if !(x > 0) || x > math.MaxFloat64 {
		return math.Log2(x) // 0, infinite or none
	}
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	f := m - 1
	s := f / (2 + f)
	z := float64(s * s)
	p := float64(l7)
	for _, l := range [...]float64{l6, l5, l4, l3, l2, l1} {
		p = float64(p*z) + l
	}
	half := float64(0.5 * float64(f*f))
	ln := f - (half - float64(s*(half+float64(z*p))))
	return float64(e) + float64(ln*(1/math.Ln2))
}
