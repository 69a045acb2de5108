package metrics

import (
	"fmt"
	"math"
)

// SISDR is the scale-invariant signal-to-distortion ratio in dB (Le Roux et al.
// 2019, "SDR: half-baked or well done?", equation 3): with the projection
// a·s of the degraded signal on the reference s, 10·log10(|a·s|²/|ŝ-a·s|²). No
// mean is taken off. Equal signals give +Inf, orthogonal ones -Inf. A silent
// reference or degraded signal is an error that wraps ErrTooShort.
func SISDR(reference, degraded []float32) (float64, error) {
	x, y, err := pair(reference, degraded)
	if err != nil {
		return 0, err
	}
	var xx, xy, yy float64
	for i := range x {
		xx += x[i] * x[i]
		xy += x[i] * y[i]
		yy += y[i] * y[i]
	}
	if xx == 0 || yy == 0 {
		return 0, fmt.Errorf("%w: SI-SDR of a silent signal is not defined", ErrTooShort)
	}
	a := xy / xx
	var signal, distortion float64
	for i := range x {
		s := a * x[i]
		signal += s * s
		distortion += (y[i] - s) * (y[i] - s)
	}
	return 10 * math.Log10(signal/distortion), nil
}
