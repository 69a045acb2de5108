package f32

// Constants of GELU: 2·√(2/π) and its product with 0.044715.
const (
	GELUC1 = 1.5957691216057308
	GELUC3 = 0.07135481282553506
)

// Constants of GELUErf, LeakyReLU and LeakyReLU100.
const (
	RootHalf  = 0.7071067811865476 // √½
	NormalTop = 0.3989422804014327 // 1/√(2π)
	Leak      = 0.1
	Leak100   = 0.01
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

// GELUErf gives x/2 · (1 + erf(x/√2)).
func GELUErf(x float32) float32 {
	h := float32(x * 0.5)
	return FMA(h, Erf(float32(x*RootHalf)), h)
}

// ReLU gives x, or 0 below 0.
func ReLU(x float32) float32 {
	if x < 0 {
		return 0
	}
	return x
}

// LeakyReLU gives x, or x/10 below 0.
func LeakyReLU(x float32) float32 {
	if x < 0 {
		return float32(x * Leak)
	}
	return x
}

// LeakyReLU100 gives x, or x/100 below 0.
func LeakyReLU100(x float32) float32 {
	if x < 0 {
		return float32(x * Leak100)
	}
	return x
}

// ELU gives x, or eˣ − 1 below 0.
func ELU(x float32) float32 {
	if x < 0 {
		return Expm1(x)
	}
	return x
}

// Snake gives x + inverse·sin²(alpha·x).
func Snake(x, alpha, inverse float32) float32 {
	s := Sin(float32(alpha * x))
	return FMA(float32(s*s), inverse, x)
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

// GELUErfGrad gives the derivative of GELUErf: (1 + erf(x/√2))/2 + x·φ(x).
func GELUErfGrad(x float32) float32 {
	density := float32(Exp(float32(float32(x*x)*-0.5)) * NormalTop)
	return FMA(x, density, FMA(Erf(float32(x*RootHalf)), 0.5, 0.5))
}

// ReLUGrad gives 1, or 0 below 0.
func ReLUGrad(x float32) float32 {
	if x < 0 {
		return 0
	}
	return 1
}

// LeakyReLUGrad gives 1, or 1/10 below 0.
func LeakyReLUGrad(x float32) float32 {
	if x < 0 {
		return Leak
	}
	return 1
}

// LeakyReLU100Grad gives 1, or 1/100 below 0.
func LeakyReLU100Grad(x float32) float32 {
	if x < 0 {
		return Leak100
	}
	return 1
}

// ELUGrad gives 1, or eˣ below 0.
func ELUGrad(x float32) float32 {
	if x < 0 {
		return Exp(x)
	}
	return 1
}

// TanhGrad gives 1 − tanh² x.
func TanhGrad(x float32) float32 {
	t := Tanh(x)
	return FMA(-t, t, 1)
}

// SigmoidGrad gives s·(1−s), s the sigmoid of x.
func SigmoidGrad(x float32) float32 {
	s := Sigmoid(x)
	return float32(s * (1 - s))
}
