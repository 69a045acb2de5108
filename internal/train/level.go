package train

import "math"

// Level is the squared difference of the logarithms of the energy of both signals.
// The other losses allow for sound that is too quiet: they take the median over
// bands, or pull what cannot be predicted towards zero.
type Level struct{}

// Name is that in the log.
func (Level) Name() string { return "level" }

// Eval gives ln²((Σy² + ε)/(Σx² + ε)), ε one part in 10⁶ a sample.
func (Level) Eval(x, y []float32, weight float32, grad []float32) float64 {
	ex, ey := 1e-6*float64(len(x)), 1e-6*float64(len(y))
	for i := range x {
		ex += float64(x[i]) * float64(x[i])
		ey += float64(y[i]) * float64(y[i])
	}
	r := math.Log(ey / ex)
	slope := float32(4 * r / ey * float64(weight))
	for i, v := range y {
		grad[i] += slope * v
	}
	return r * r
}
