package f32

// Constants of GELU: 2·√(2/π) and its product with 0.044715.
const (
	GELUC1 = 1.5957691216057308
	GELUC3 = 0.07135481282553506
)

// geluArg gives −u of GELU, u = x·(c1 + c3·x²).
func geluArg(x, xx float32) float32 { return float32(x * FMA(xx, -GELUC3, -GELUC1)) }

// GELU gives x / (1 + exp(−u)).
func GELU(x float32) float32 {
	return x / (1 + Exp(geluArg(x, float32(x*x))))
}

// SiLU gives x / (1 + exp(−x)).
func SiLU(x float32) float32 {
	return x / (1 + Exp(-x))
}

// GELUGrad gives the derivative of GELU: with s = 1/(1+exp(−u)), it is
// s + x·s·(1−s)·u'.
func GELUGrad(x float32) float32 {
	xx := float32(x * x)
	s := 1 / (1 + Exp(geluArg(x, xx)))
	slope := FMA(xx, 3*GELUC3, GELUC1)
	return FMA(float32(float32(x*s)*(1-s)), slope, s)
}

// SiLUGrad gives the derivative of SiLU: with s = 1/(1+exp(−x)), it is
// s + x·s·(1−s).
func SiLUGrad(x float32) float32 {
	s := 1 / (1 + Exp(-x))
	return FMA(float32(x*s), 1-s, s)
}
