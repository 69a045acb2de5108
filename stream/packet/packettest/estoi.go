package packettest

import (
	"errors"
	"math"

	"github.com/sotto-audio/sotto/internal/metrics"
)

// ESTOI says how intelligible speech at 16 kHz is after a live stream, whose delay
// moves: the mean over stretches of 1.5 s, each at the delay, of most samples at most,
// at which the sound heard fits it best.
func ESTOI(spoken, heard []float32, most int) (float64, error) {
	// The buffer may insert a frame at any time: stretches are short, so that it
	// shifts few of them in their middle.
	const stretch, before = 24000, 1600 // samples; heard may begin late
	heard = append(append(make([]float32, before), heard...), make([]float32, stretch+most)...)
	var sum float64
	n := 0
	for from := 0; from+stretch <= len(spoken) && from+before+most+stretch <= len(heard); from += stretch {
		ref := spoken[from : from+stretch]
		best, lag := math.Inf(-1), 0
		try := func(l, step int) {
			x := heard[from+l:]
			xy, xx := 0.0, 1e-9
			for i := 0; i < stretch; i += step {
				xy += float64(x[i] * ref[i])
				xx += float64(x[i] * x[i])
			}
			if fit := xy / math.Sqrt(xx); fit > best {
				best, lag = fit, l
			}
		}
		for l := 0; l < before+most; l += 4 {
			try(l, 3)
		}
		best = math.Inf(-1)
		for l := max(0, lag-4); l <= lag+4; l++ {
			try(l, 1)
		}
		e, err := metrics.ESTOI(ref, heard[from+lag:from+lag+stretch], 16000)
		if err != nil {
			return 0, err
		}
		sum += e
		n++
	}
	if n == 0 {
		return 0, errors.New("packettest: less than 1.5 s of speech")
	}
	return sum / float64(n), nil
}
