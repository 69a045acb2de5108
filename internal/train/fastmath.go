package train

import "math"

// log is the natural logarithm of a positive normal number to about 3e-7
// relative to max(1, |log x|).
func log(x float32) float32 {
	bits := math.Float32bits(x)
	// m in [√½, √2), x = m·2^e.
	e := int32(bits-0x3f3504f3) >> 23
	m := math.Float32frombits(bits - uint32(e)<<23)
	s := (m - 1) / (m + 1)
	s2 := s * s
	return float32(e)*math.Ln2 + 2*s*(1+s2*(1.0/3+s2*(1.0/5+s2*(1.0/7+s2*(1.0/9)))))
}

// exp is e^x to about 1e-6 relative for |x| < 80.
func exp(x float32) float32 {
	t := x * math.Log2E
	i := int32(t + float32(math.Copysign(0.5, float64(t))))
	f := (t - float32(i)) * math.Ln2
	p := 1 + f*(1+f*(1.0/2+f*(1.0/6+f*(1.0/24+f*(1.0/120+f*(1.0/720))))))
	return math.Float32frombits(uint32((i+127)<<23)) * p
}

// pow is x^y for positive x.
func pow(x, y float32) float32 { return exp(y * log(x)) }

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
