package nn

import (
	"math"

	"github.com/sotto-audio/sotto/internal/dsp"
)

// Rotary turns pairs of values by angles that grow with the position.
type Rotary struct {
	half, period int
	cos, sin     []float32 // [period, half]
}

// rotaryBase spaces the frequencies, from about a radian a row down.
const rotaryBase = 1000

// NewRotary makes the angles for heads of that many columns, an even number: pair
// i of half turns round(period/2π·base^(−i/half)) times in period rows, at least
// once.
func NewRotary(columns, period int) *Rotary {
	r := &Rotary{half: columns / 2, period: period}
	r.cos, r.sin = make([]float32, period*r.half), make([]float32, period*r.half)
	for i := range r.half {
		turns := float64(period) / (2 * math.Pi) * math.Pow(rotaryBase, -float64(i)/float64(r.half))
		n := max(int(math.Round(turns)), 1)
		for t := range period {
			r.cos[t*r.half+i] = float32(dsp.CosTurn(t*n, period))
			r.sin[t*r.half+i] = float32(dsp.SinTurn(t*n, period))
		}
	}
	return r
}

// angles gives the cosines and sines of positions [from, from+n).
func (r *Rotary) angles(from, n int) (cos, sin []float32) {
	for from %= r.period; n > 0; from = 0 {
		rows := min(n, r.period-from)
		cos = append(cos, r.cos[from*r.half:(from+rows)*r.half]...)
		sin = append(sin, r.sin[from*r.half:(from+rows)*r.half]...)
		n -= rows
	}
	return cos, sin
}
