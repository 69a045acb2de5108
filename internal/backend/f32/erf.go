package f32

import "math"

// Constants of Erf, shared with the generator of the vector kernels: minimax fits
// of erf(x)/x in x² for |x| < 1 and of log erfc(x) for 1 ≤ x ≤ 4.
const (
	ErfMax = 4 // erf is 1 in float32 from here on
	ErfC0  = 1.1283791065216064
	ErfC1  = -0.3761262595653534
	ErfC2  = 0.11283600330352783
	ErfC3  = -0.026854444295167923
	ErfC4  = 0.005189535673707724
	ErfC5  = -0.0008020842215046287
	ErfC6  = 7.889122935011983e-05
	ErfcC0 = -0.00035371974809095263
	ErfcC1 = -1.1270400285720825
	ErfcC2 = -0.6382256746292114
	ErfcC3 = -0.10303736478090286
	ErfcC4 = 0.02180531807243824
	ErfcC5 = -0.0029396070167422295
	ErfcC6 = 0.000185573982889764
)

// Erf gives the error function to 1.2e-7. NaN gives NaN.
func Erf(x float32) float32 {
	a := abs(x)
	if a < 1 {
		z := float32(x * x)
		p := FMA(ErfC6, z, ErfC5)
		p = FMA(p, z, ErfC4)
		p = FMA(p, z, ErfC3)
		p = FMA(p, z, ErfC2)
		p = FMA(p, z, ErfC1)
		p = FMA(p, z, ErfC0)
		return float32(p * x)
	}
	if a > ErfMax {
		a = ErfMax
	}
	p := FMA(ErfcC6, a, ErfcC5)
	p = FMA(p, a, ErfcC4)
	p = FMA(p, a, ErfcC3)
	p = FMA(p, a, ErfcC2)
	p = FMA(p, a, ErfcC1)
	p = FMA(p, a, ErfcC0)
	return copysign(1-Exp(p), x)
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// copysign gives |y| its sign from x; y is not negative.
func copysign(y, x float32) float32 {
	return math.Float32frombits(math.Float32bits(y) | math.Float32bits(x)&(1<<31))
}
