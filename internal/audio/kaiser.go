package audio

import "math"

// The low-pass behind the resampler is a sinc times a Kaiser window. Its tables
// are part of what makes tokens, so they must hold the same bits on every
// machine: only the four operations and the square root are used, each rounded
// on its own (Go fuses x*y+z on some architectures unless a conversion stands
// between), and math.Sin and math.Exp, which have assembly on some, are not.

// i0Coeff holds 1/(k!)^2.
var i0Coeff = func() (c [48]float64) {
	c[0] = 1
	for k := 1; k < len(c); k++ {
		c[k] = c[k-1] / float64(k*k)
	}
	return c
}()

// besselI0 is the modified Bessel function of order 0 at 2*sqrt(t), for t up to
// 40, by its power series sum t^k / (k!)^2 (Abramowitz and Stegun 9.6.12).
func besselI0(t float64) float64 {
	s := i0Coeff[len(i0Coeff)-1]
	for k := len(i0Coeff) - 2; k >= 0; k-- {
		s = float64(s*t) + i0Coeff[k]
	}
	return s
}

// kaiser is the Kaiser window of shape beta at u in [-1, 1].
func kaiser(u, beta float64) float64 {
	if u <= -1 || u >= 1 {
		return 0
	}
	q := float64(beta * beta / 4)
	return besselI0(float64(q*(1-float64(u*u)))) / besselI0(q)
}

// sinCoeff holds the Taylor coefficients of sin(pi x) / x in x^2.
var sinCoeff = func() (c [13]float64) {
	c[0] = math.Pi
	for k := 1; k < len(c); k++ {
		c[k] = -float64(c[k-1]*float64(math.Pi*math.Pi)) / float64(2*k*(2*k+1))
	}
	return c
}()

// sinPi is sin(pi x).
func sinPi(x float64) float64 {
	r := math.RoundToEven(x)
	odd := int64(r)&1 != 0
	x -= r // exact: |x| <= 1/2
	t := float64(x * x)
	s := sinCoeff[len(sinCoeff)-1]
	for k := len(sinCoeff) - 2; k >= 0; k-- {
		s = float64(s*t) + sinCoeff[k]
	}
	s = float64(s * x)
	if odd {
		return -s
	}
	return s
}

// sinc is sin(pi x) / (pi x).
func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return sinPi(x) / float64(math.Pi*x)
}
