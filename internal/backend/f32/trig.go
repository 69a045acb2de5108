package f32

import "math"

// Constants of Sin and Cos, shared with the generator of the vector kernels. The
// polynomials are minimax fits on |r| ≤ π/4 of (sin r − r)/r³ and of
// (cos r − 1 + r²/2)/r⁴, both in r².
const (
	TrigMax   = 1 << 20 // a larger magnitude counts as this
	TrigTurn  = 2 / math.Pi
	TrigNegHi = -1.5707963705062866 // −π/2 in three parts
	TrigNegMd = 4.371138828673793e-08
	TrigNegLo = 1.7151245100058819e-15
	SinC1     = -0.16666653752326965
	SinC2     = 0.008332131430506706
	SinC3     = -0.000195108717889525
	CosC1     = 0.04166664555668831
	CosC2     = -0.0013887305976822972
	CosC3     = 2.4431241399724968e-05
)

// Sin gives sin x to 1e-7 for |x| ≤ 2²⁰; a larger magnitude counts as that. NaN
// gives NaN.
func Sin(x float32) float32 { return sinQuarter(x, 0) }

// Cos gives cos x, like Sin.
func Cos(x float32) float32 { return sinQuarter(x, 1) }

// sinQuarter gives sin(x + turns·π/2).
func sinQuarter(x float32, turns uint32) float32 {
	if x > TrigMax {
		x = TrigMax
	}
	if x < -TrigMax {
		x = -TrigMax
	}
	t := FMA(x, TrigTurn, ExpMagic) // quarter turns, in the low bits
	n := t - ExpMagic
	r := FMA(n, TrigNegHi, x)
	r = FMA(n, TrigNegMd, r)
	r = FMA(n, TrigNegLo, r)
	z := float32(r * r)
	q := math.Float32bits(t) + turns
	var y float32
	if q&1 == 0 {
		p := FMA(SinC3, z, SinC2)
		p = FMA(p, z, SinC1)
		y = FMA(float32(p*z), r, r)
	} else {
		p := FMA(CosC3, z, CosC2)
		p = FMA(p, z, CosC1)
		p = FMA(p, z, -0.5)
		y = FMA(p, z, 1)
	}
	return math.Float32frombits(math.Float32bits(y) ^ q&2<<30)
}
