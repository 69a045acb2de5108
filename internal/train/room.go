package train

import (
	"math"
	"math/rand/v2"
	"sync"

	"github.com/sotto-audio/sotto/internal/dsp"
)

// addRoom puts the signal into a room of its own: it is convolved with a direct
// path and coloured noise that decays by 60 dB in 0.1 to 0.8 s, 0 to 20 dB below
// the direct path in all, up to 20 ms after it. The level stays.
func addRoom(x []float32, rate int, rng *rand.Rand) {
	decay := (0.1 + 0.7*rng.Float64()) * float64(rate)
	delay := 1 + int(0.02*float64(rate)*rng.Float64())
	pole := 0.9 * rng.Float64()
	below := math.Pow(10, -20*rng.Float64()/20)
	response := make([]float32, min(len(x), delay+int(decay)))
	var state, power float64
	for i := delay; i < len(response); i++ {
		state = pole*state + rng.NormFloat64()
		v := state * math.Pow(10, -3*float64(i-delay)/decay)
		response[i] = float32(v)
		power += v * v
	}
	for i := range response {
		response[i] *= float32(below / math.Sqrt(power+1e-12))
	}
	response[0] = 1
	before := energy(x)
	convolve(x, response)
	if after := energy(x); after > 0 {
		gain := float32(math.Sqrt(before / after))
		for i := range x {
			x[i] *= gain
		}
	}
}

// convolutions holds the transforms of convolve by size.
var convolutions sync.Map // int → *dsp.RealFFT

// convolve sets x to the start of its convolution with h.
func convolve(x, h []float32) {
	size := 2
	for size < len(x)+len(h) {
		size *= 2
	}
	plan, ok := convolutions.Load(size)
	if !ok {
		fft, err := dsp.NewRealFFT(size)
		if err != nil {
			panic(err) // powers of two have plans
		}
		plan, _ = convolutions.LoadOrStore(size, fft)
	}
	fft := plan.(*dsp.RealFFT)
	spectrum := func(v []float32) (re, im []float32) {
		padded := make([]float32, size)
		copy(padded, v)
		re, im = make([]float32, fft.Bins()), make([]float32, fft.Bins())
		fft.Forward(re, im, padded)
		return re, im
	}
	xr, xi := spectrum(x)
	hr, hi := spectrum(h)
	for k, a := range xr {
		b := xi[k]
		xr[k], xi[k] = a*hr[k]-b*hi[k], a*hi[k]+b*hr[k]
	}
	y := make([]float32, size)
	fft.Inverse(y, xr, xi)
	copy(x, y)
}

// clip cuts the signal off at 3 to 15 dB below its peak, as a microphone that is
// too loud does, or, half of the time, bends it there.
func clip(x []float32, rng *rand.Rand) {
	var peak float32
	for _, v := range x {
		peak = max(peak, magnitude(v))
	}
	limit := peak * float32(math.Pow(10, -(3+12*rng.Float64())/20))
	soft := rng.Float64() < 0.5
	if limit == 0 {
		return
	}
	for i, v := range x {
		if soft {
			x[i] = limit * float32(math.Tanh(float64(v/limit)))
		} else {
			x[i] = max(-limit, min(limit, v))
		}
	}
}
