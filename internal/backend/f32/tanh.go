package f32

// Constants of Tanh, shared with the generator of the vector kernels: a minimax fit
// of (tanh x − x)/x³ in x² below TanhEdge.
const (
	TanhEdge = 0.625
	TanhC1   = -0.3333328366279602
	TanhC2   = 0.13331490755081177
	TanhC3   = -0.05374349653720856
	TanhC4   = 0.02065058797597885
	TanhC5   = -0.005717045161873102
)

// Tanh gives the hyperbolic tangent to 2 units in the last place. NaN gives NaN.
func Tanh(x float32) float32 {
	a := abs(x)
	if a < TanhEdge {
		z := float32(x * x)
		p := FMA(TanhC5, z, TanhC4)
		p = FMA(p, z, TanhC3)
		p = FMA(p, z, TanhC2)
		p = FMA(p, z, TanhC1)
		return FMA(float32(p*z), x, x)
	}
	return copysign(1-2/(Exp(a+a)+1), x)
}

// Sigmoid gives 1 / (1 + exp(−x)).
func Sigmoid(x float32) float32 { return 1 / (1 + Exp(-x)) }
