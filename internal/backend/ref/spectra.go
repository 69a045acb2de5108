package ref

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// CompressPairs sets y to the numbers of x with compressed magnitudes, m to those.
func (Backend) CompressPairs(y, m, x *backend.Tensor, eps float32) {
	for t := range x.Rows {
		for k := 0; k < x.Cols; k += 2 {
			re, im := x.Row(t)[k], x.Row(t)[k+1]
			mag := sqrt(float32(re*re) + float32(im*im) + eps)
			g := sqrt(sqrt(mag)) / mag
			m.Row(t)[k], m.Row(t)[k+1] = mag, mag
			y.Row(t)[k], y.Row(t)[k+1] = re*g, im*g
		}
	}
}

// ExpandPairs sets y to the numbers of x times their power.
func (Backend) ExpandPairs(y, x *backend.Tensor, eps float32) {
	for t := range x.Rows {
		for k := 0; k < x.Cols; k += 2 {
			re, im := x.Row(t)[k], x.Row(t)[k+1]
			g := float32(re*re) + float32(im*im) + eps
			y.Row(t)[k], y.Row(t)[k+1] = re*g, im*g
		}
	}
}

// sqrt is the IEEE square root: rounding the double one again is exact.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// Complex sets y to complex numbers of their logarithmic magnitudes and phases.
func (Backend) Complex(y, x *backend.Tensor, most float32) {
	for t := range x.Rows {
		n := x.Cols / 2
		for k, phase := range x.Row(t)[n:] {
			m := min(f32.Exp(x.Row(t)[k]), most)
			y.Row(t)[2*k], y.Row(t)[2*k+1] = float32(m*f32.Cos(phase)), float32(m*f32.Sin(phase))
		}
	}
}
