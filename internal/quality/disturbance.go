package quality

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Disturbance is a change of the sound that a listener hardly notices.
type Disturbance struct {
	Name string // a key, such as shift_5_ms
	// Apply gives the changed sound, with at least as many samples.
	Apply func(pcm []float32, rate int) []float32
}

// Shift puts milliseconds of silence before the sound, so that frames begin
// elsewhere in it.
func Shift(milliseconds float64) Disturbance {
	return Disturbance{fmt.Sprintf("shift_%g_ms", milliseconds), func(pcm []float32, rate int) []float32 {
		n := int(milliseconds*float64(rate)/1000 + 0.5)
		return append(make([]float32, n, len(pcm)+n), pcm...)
	}}
}

// Noise adds white noise so many decibels below the sound.
func Noise(db float64) Disturbance {
	return Disturbance{fmt.Sprintf("noise_%g_db", db), func(pcm []float32, _ int) []float32 {
		rng := rand.New(rand.NewPCG(1, 1))
		var power float64
		for _, v := range pcm {
			power += float64(v) * float64(v) / float64(len(pcm))
		}
		scale := math.Sqrt(power) * math.Pow(10, -db/20)
		out := make([]float32, len(pcm))
		for i, v := range pcm {
			out[i] = v + float32(scale*rng.NormFloat64())
		}
		return out
	}}
}

// Gain makes the sound louder by decibels.
func Gain(db float64) Disturbance {
	return Disturbance{fmt.Sprintf("gain_%g_db", db), func(pcm []float32, _ int) []float32 {
		out := make([]float32, len(pcm))
		for i, v := range pcm {
			out[i] = v * float32(math.Pow(10, db/20))
		}
		return out
	}}
}
