// Package dsp holds the transforms and tables of the signal side: windows, real
// FFTs of planned sizes and mel filters.
//
// Everything on the way from samples to tokens or back is float32 in one fixed
// order of operations, with products rounded before they are added, so that
// every machine computes the same bits.
package dsp

import "math"

// CosTurn is cos(2π·k/n), and SinTurn its sine, from a polynomial of our own:
// the standard library's may differ in a last bit between architectures, and
// tables decide tokens. The argument is reduced exactly, in integers, to the
// first eighth of a turn.
func CosTurn(k, n int) float64 {
	k %= n
	if k < 0 {
		k += n
	}
	// By symmetry cos(-x) = cos(x), cos(π-x) = -cos(x), cos(π/2-x) = sin(x).
	if 2*k > n {
		k = n - k
	}
	sign := 1.0
	if 4*k > n {
		k, n, sign = n-2*k, 2*n, -1
	}
	if 8*k > n {
		return sign * sinSmall(n-4*k, 4*n)
	}
	return sign * cosSmall(k, n)
}

// SinTurn is sin(2π·k/n).
func SinTurn(k, n int) float64 { return CosTurn(4*k-n, 4*n) }

const tau = 6.283185307179586476925286766559

// sinSmall and cosSmall are Taylor series for 0 ≤ k/n ≤ 1/8, summed from the
// smallest term; the first term left out is below 1e-18.
func sinSmall(k, n int) float64 {
	x := float64(tau*float64(k)) / float64(n)
	x2 := float64(x * x)
	s := 1.0
	for i := 18; i >= 2; i -= 2 {
		s = 1 - float64(float64(x2*s)/float64(i*(i+1)))
	}
	return float64(x * s)
}

func cosSmall(k, n int) float64 {
	x := float64(tau*float64(k)) / float64(n)
	x2 := float64(x * x)
	s := 1.0
	for i := 19; i >= 1; i -= 2 {
		s = 1 - float64(float64(x2*s)/float64(i*(i+1)))
	}
	return s
}

// Log is ln x for x > 0, Log10 its multiple, and Exp eˣ for |x| < 700, to some
// 1e-15: tables and spectra decide tokens, and the standard library's have
// assembly on some architectures and fused operations on others.
func Log(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	// ln m = 2·artanh s; |s| < 0.172, so the first term left out is below 1e-20.
	s := (m - 1) / (m + 1)
	s2 := float64(s * s)
	sum := 0.0
	for k := 25; k >= 1; k -= 2 {
		sum = 1/float64(k) + float64(s2*sum)
	}
	return float64(2*s*sum) + float64(float64(e)*math.Ln2)
}

// Log10 is log₁₀ x for x > 0.
func Log10(x float64) float64 { return float64(Log(x) * (1 / math.Ln10)) }

// Exp is eˣ for |x| < 700.
func Exp(x float64) float64 {
	n := math.RoundToEven(x / math.Ln2)
	r := x - float64(n*math.Ln2)
	s := 1.0
	for k := 18; k >= 1; k-- {
		s = 1 + float64(r*s)/float64(k)
	}
	return math.Ldexp(s, int(n))
}

// Hann is the periodic Hann window of n samples: ½ − ½·cos(2πk/n).
func Hann(n int) []float32 {
	w := make([]float32, n)
	for k := range w {
		w[k] = float32(0.5 - float64(0.5*CosTurn(k, n)))
	}
	return w
}
