package metrics

import (
	"fmt"
	"math"
)

// Loudness gives the integrated loudness of mono sound in LUFS (ITU-R BS.1770-4):
// the K-weighted power of blocks of 400 ms that overlap by three quarters, without
// those below −70 LUFS and those 10 LU below the rest. It is −Inf where no block is
// left.
func Loudness(pcm []float32, rate int) (float64, error) {
	block, step := rate*2/5, rate/10
	if rate < 8000 || len(pcm) < block {
		return 0, fmt.Errorf("metrics: loudness needs 0.4 s of sound at 8 kHz or more, not %d samples at %d Hz", len(pcm), rate)
	}
	shelf, high := kWeighting(float64(rate))
	squares := make([]float64, len(pcm))
	for i, v := range pcm {
		y := high.next(shelf.next(float64(v)))
		squares[i] = y * y
	}
	var powers []float64
	for at := 0; at+block <= len(pcm); at += step {
		var sum float64
		for _, v := range squares[at : at+block] {
			sum += v
		}
		powers = append(powers, sum/float64(block))
	}
	mean := gated(powers, math.Pow(10, (-70+0.691)/10))
	mean = gated(powers, max(mean/10, math.Pow(10, (-70+0.691)/10)))
	return -0.691 + 10*math.Log10(mean), nil
}

// gated gives the mean of the powers above a gate, 0 where there are none.
func gated(powers []float64, gate float64) float64 {
	var sum, n float64
	for _, p := range powers {
		if p > gate {
			sum += p
			n++
		}
	}
	return sum / max(n, 1)
}

// biquad is a filter of second order in direct form I.
type biquad struct {
	b0, b1, b2, a1, a2 float64
	x1, x2, y1, y2     float64
}

func (f *biquad) next(x float64) float64 {
	y := f.b0*x + f.b1*f.x1 + f.b2*f.x2 - f.a1*f.y1 - f.a2*f.y2
	f.x2, f.x1, f.y2, f.y1 = f.x1, x, f.y1, y
	return y
}

// kWeighting gives the two filters of the standard, whose tables are for 48 kHz,
// at any rate: the analog filters behind the tables, through the bilinear
// transform.
func kWeighting(rate float64) (shelf, high *biquad) {
	k := math.Tan(math.Pi * 1681.974450955533 / rate)
	const q, gain = 0.7071752369554196, 3.999843853973347
	vh := math.Pow(10, gain/20)
	vb := math.Pow(vh, 0.4996667741545416)
	a0 := 1 + k/q + k*k
	shelf = &biquad{
		b0: (vh + vb*k/q + k*k) / a0, b1: 2 * (k*k - vh) / a0, b2: (vh - vb*k/q + k*k) / a0,
		a1: 2 * (k*k - 1) / a0, a2: (1 - k/q + k*k) / a0,
	}
	k = math.Tan(math.Pi * 38.13547087602444 / rate)
	const low = 0.5003270373238773
	a0 = 1 + k/low + k*k
	high = &biquad{b0: 1, b1: -2, b2: 1, a1: 2 * (k*k - 1) / a0, a2: (1 - k/low + k*k) / a0}
	return shelf, high
}
