// Package metrics measures how close a degraded signal comes to its reference:
// STOI and extended STOI (intelligibility), mel distance (timbre) and SI-SDR
// (waveform). All of it runs in float64.
//
// How codebooks are used is counted by rvq.Usage.
package metrics

import (
	"errors"
	"fmt"
	"math"
)

// ErrTooShort says that too little sound is left for the measure.
var ErrTooShort = errors.New("metrics: too little sound")

// pair checks two mono signals and widens them to float64.
func pair(reference, degraded []float32) (x, y []float64, err error) {
	if len(reference) != len(degraded) {
		return nil, nil, fmt.Errorf("metrics: reference has %d samples, degraded signal %d: cut both to the same length", len(reference), len(degraded))
	}
	x, y = make([]float64, len(reference)), make([]float64, len(reference))
	for i := range x {
		x[i], y[i] = float64(reference[i]), float64(degraded[i])
		if math.IsNaN(x[i]-y[i]) || math.IsInf(x[i]-y[i], 0) {
			return nil, nil, fmt.Errorf("metrics: sample %d is not a finite number", i)
		}
	}
	return x, y, nil
}

// hann gives the n-point symmetric Hann window without its two zeros.
func hann(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i+1)/float64(n+1))
	}
	return w
}
