package f32

import "math"

// Constants of Exp, shared with the generator of the vector kernels. The
// polynomial is a minimax fit of (eʳ − 1 − r)/r² on |r| ≤ ln 2 / 2.
const (
	ExpMax   = 88.37 // a larger argument counts as this
	ExpMin   = -87.3 // a smaller argument counts as this
	ExpLog2e = math.Log2E
	ExpMagic = 3 << 22                  // adding 1.5·2²³ rounds to an integer
	ExpNegHi = -0.693147182464599609375 // −ln 2 as a float32
	ExpNegLo = -(math.Ln2 - 0.693147182464599609375)
	ExpC2    = 0.4999999403953552
	ExpC3    = 0.1666651964187622
	ExpC4    = 0.04166839271783829
	ExpC5    = 0.008368780836462975
	ExpC6    = 0.0013814467238262296
)

// Exp gives eˣ to 2 units in the last place. It neither overflows nor
// underflows: x is clamped to [ExpMin, ExpMax]. NaN gives NaN.
func Exp(x float32) float32 {
	p, r, scale := expParts(x)
	return float32(FMA(p, r, 1) * scale)
}

// Expm1 gives eˣ − 1 to 2 units in the last place, for x clamped as in Exp.
func Expm1(x float32) float32 {
	p, r, scale := expParts(x)
	return FMA(float32(p*r), scale, scale-1)
}

// expParts gives p, r and scale with eˣ = (1 + p·r)·scale.
func expParts(x float32) (p, r, scale float32) {
	if x > ExpMax {
		x = ExpMax
	}
	if x < ExpMin {
		x = ExpMin
	}
	t := FMA(x, ExpLog2e, ExpMagic) // x/ln 2 to the nearest integer, in the low bits
	n := t - ExpMagic
	r = FMA(n, ExpNegHi, x)
	r = FMA(n, ExpNegLo, r)
	p = FMA(ExpC6, r, ExpC5)
	p = FMA(p, r, ExpC4)
	p = FMA(p, r, ExpC3)
	p = FMA(p, r, ExpC2)
	p = FMA(p, r, 1)
	return p, r, math.Float32frombits(math.Float32bits(t)<<23 + 0x3f800000)
}
