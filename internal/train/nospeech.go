package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

const generated = "generated/"

// NoSpeech lists that many made signals of 4 to 15 seconds in which nobody speaks:
// silence, noises, hums, clicks and music.
func NoSpeech(n int) []Spoken {
	var all []Spoken
	for i := range n {
		all = append(all, Spoken{Path: fmt.Sprint(generated, i), Split: "train", Speaker: "none", Source: "generated"})
	}
	return all
}

// isGenerated tells signals of NoSpeech, and their seed.
func isGenerated(path string) (seed uint64, ok bool) {
	number, ok := strings.CutPrefix(path, generated)
	fmt.Sscan(number, &seed)
	return seed, ok
}

// noSpeech makes a signal.
func noSpeech(seed uint64, rate int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 99))
	x := make([]float32, int((4+11*rng.Float64())*float64(rate)))
	gain := math.Pow(10, -(10+50*rng.Float64())/20)
	switch seed % 6 {
	case 0: // silence, some of it digital
		if rng.Float64() < 0.5 {
			return x
		}
		gain = math.Pow(10, -(60+30*rng.Float64())/20)
		fallthrough
	case 1, 2: // noise of some colour, steady or in waves
		pole, rateOf, depth := 0.98*rng.Float64(), 0.2+3*rng.Float64(), rng.Float64()
		if rng.Float64() < 0.5 {
			depth = 0
		}
		var state float64
		for i := range x {
			state = pole*state + math.Sqrt(1-pole*pole)*rng.NormFloat64()
			x[i] = float32(gain * state * (1 - depth*0.5*(1+math.Sin(2*math.Pi*rateOf*float64(i)/float64(rate)))))
		}
	case 3: // hum and clicks
		pitch := 45 + 200*rng.Float64()
		for i := range x {
			t := float64(i) / float64(rate)
			for h := 1.0; h < 6; h++ {
				x[i] += float32(gain / h * math.Sin(2*math.Pi*pitch*h*t))
			}
		}
		for at := 0; at < len(x); at += 1 + int(float64(rate)*rng.ExpFloat64()*0.5) {
			for i := range min(len(x)-at, rate/100) {
				x[at+i] += float32(gain * rng.NormFloat64() * math.Exp(-float64(i)/20))
			}
		}
	default:
		music(x, rate, gain, rng)
	}
	for i := range x {
		x[i] += float32(1e-5 * rng.NormFloat64())
	}
	return x
}

// music plays chords and a melody of plucked or held harmonics, with a drum.
func music(x []float32, rate int, gain float64, rng *rand.Rand) {
	beat := int((0.2 + 0.6*rng.Float64()) * float64(rate))
	root := 55 * math.Exp2(rng.Float64()*2)
	scale := []int{0, 2, 4, 5, 7, 9, 11, 12, 14, 16}
	decay := 0.5 + 5*rng.Float64()
	note := func(at, length int, pitch, level float64) {
		bright := 1 + 2*rng.Float64()
		for i := range min(length, len(x)-at) {
			t := float64(i) / float64(rate)
			envelope := min(1, t*50) * math.Exp(-decay*t)
			var v float64
			for h := 1.0; h < 8; h++ {
				v += math.Sin(2*math.Pi*pitch*h*t) / math.Pow(h, bright)
			}
			x[at+i] += float32(gain * level * envelope * v)
		}
	}
	drums := rng.Float64() < 0.5
	for at := 0; at < len(x); at += beat {
		if rng.Float64() < 0.4 {
			base := scale[rng.IntN(5)]
			for _, third := range []int{0, 4, 7} {
				note(at, 4*beat, root*math.Exp2(float64(base+third)/12), 0.3)
			}
		}
		if rng.Float64() < 0.8 {
			note(at, 2*beat, 2*root*math.Exp2(float64(scale[rng.IntN(len(scale))])/12), 0.5)
		}
		if drums {
			for i := range min(len(x)-at, rate/8) {
				x[at+i] += float32(gain * rng.NormFloat64() * math.Exp(-float64(i)/600))
			}
		}
	}
}
