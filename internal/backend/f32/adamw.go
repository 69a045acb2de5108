package f32

import "math"

// AdamW holds what is constant over one step of the optimiser.
type AdamW struct {
	Beta1, Rest1, Beta2, Rest2 float32 // Rest1 is (1 − Beta1)·scale, Rest2 (1 − Beta2)·scale²
	Fix1, Fix2                 float32 // 1/(1 − Betaᵗ), the bias corrections
	Eps, Decay, NegLR          float32
}

// NewAdamW prepares step number step, counted from 1, for gradients that count
// scale times their value.
func NewAdamW(lr, beta1, beta2, eps, decay, scale float32, step int) AdamW {
	fix := func(beta float32) float32 {
		return float32(1 / (1 - math.Pow(float64(beta), float64(step))))
	}
	return AdamW{
		Beta1: beta1, Rest1: float32((1 - beta1) * scale), Beta2: beta2, Rest2: float32(float32((1-beta2)*scale) * scale),
		Fix1: fix(beta1), Fix2: fix(beta2), Eps: eps, Decay: decay, NegLR: -lr,
	}
}

// Update gives the next weight and moments for gradient g.
func (a *AdamW) Update(w, g, m, v float32) (float32, float32, float32) {
	m = FMA(a.Beta1, m, float32(a.Rest1*g))
	v = FMA(a.Beta2, v, float32(float32(a.Rest2*g)*g))
	step := float32(m*a.Fix1) / (Sqrt(float32(v*a.Fix2)) + a.Eps)
	step = FMA(a.Decay, w, step)
	return FMA(a.NegLR, step, w), m, v
}
