package peers

import "math"

// align gives decoded shifted by up to 100 ms to where it fits the reference best,
// at the reference's length. The envelopes, which every codec keeps, find the
// place to a millisecond; the waveforms around it decide.
func align(reference, decoded []float32) []float32 {
	const step, most = Rate / 1000, 100
	a, b := envelope(reference, step), envelope(decoded, step)
	best, at := math.Inf(-1), 0
	for lag := -most; lag <= most; lag++ {
		if c := correlation(a, b, lag, 1); c > best {
			best, at = c, lag
		}
	}
	best, fine := math.Inf(-1), 0
	x, y := float64s(reference), float64s(decoded)
	for lag := (at - 2) * step; lag <= (at+2)*step; lag++ {
		if c := correlation(x, y, lag, 7); c > best {
			best, fine = c, lag
		}
	}
	out := make([]float32, len(reference))
	for i := range out {
		if k := i + fine; k >= 0 && k < len(decoded) {
			out[i] = decoded[k]
		}
	}
	return out
}

// envelope gives the logarithm of the energy of frames of 10 ms, every step samples,
// without its mean.
func envelope(x []float32, step int) []float64 {
	e := make([]float64, len(x)/step)
	for i := range e {
		for _, v := range x[i*step : min(i*step+10*step, len(x))] {
			e[i] += float64(v) * float64(v)
		}
		e[i] = math.Log(e[i] + 1e-4)
	}
	var mean float64
	for _, v := range e {
		mean += v / float64(len(e))
	}
	for i := range e {
		e[i] -= mean
	}
	return e
}

// correlation gives Σ a[i]·b[i+lag] over every stride-th i.
func correlation(a, b []float64, lag, stride int) float64 {
	var sum float64
	for i := max(0, -lag); i < min(len(a), len(b)-lag); i += stride {
		sum += a[i] * b[i+lag]
	}
	return sum
}

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
