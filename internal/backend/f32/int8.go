package f32

import "math"

// Int8Scale gives, for the largest magnitude m of a vector, the scale of its
// integers and the factor that turns values into them. m is not negative, or NaN.
func Int8Scale(m float32) (scale, factor float32) {
	switch {
	case m < 0x1p-100:
		return 0, 0
	case !(m <= math.MaxFloat32):
		return float32(math.NaN()), 0
	}
	return m / 127, 127 / m
}

// Int8 gives x·factor rounded to nearest even. It is 0 for what is not finite.
func Int8(x, factor float32) int8 {
	v := float32(x * factor)
	if v != v {
		return 0
	}
	return int8(math.RoundToEven(float64(v)))
}

// MaxAbs gives the largest magnitude, NaN where there is one.
func MaxAbs(v []float32) float32 {
	var m uint32 // bits of magnitudes are in their order, NaN above all
	for _, x := range v {
		m = max(m, math.Float32bits(x)&^(1<<31))
	}
	return math.Float32frombits(m)
}
