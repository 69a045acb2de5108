package tokeneval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/codec"
)

// Change is a small change of the sound that should not change the tokens.
type Change struct {
	Name  string
	apply func(pcm []float32, rate int, seed uint64) []float32
}

// Shift drops the first milliseconds, so that frames begin elsewhere.
func Shift(ms float64) Change {
	return Change{fmt.Sprintf("shift by %g ms", ms), func(pcm []float32, rate int, _ uint64) []float32 {
		return pcm[min(len(pcm), int(ms*float64(rate)/1000)):]
	}}
}

// Noise adds white noise that many decibels below the sound.
func Noise(snr float64) Change {
	return Change{fmt.Sprintf("noise at %g dB", snr), func(pcm []float32, _ int, seed uint64) []float32 {
		rng := rand.New(rand.NewPCG(seed, 1))
		var power float64
		for _, v := range pcm {
			power += float64(v) * float64(v)
		}
		gain := math.Sqrt(power/float64(max(len(pcm), 1))) * math.Pow(10, -snr/20)
		out := make([]float32, len(pcm))
		for i, v := range pcm {
			out[i] = v + float32(gain*rng.NormFloat64())
		}
		return out
	}}
}

// Gain makes the sound louder by decibels.
func Gain(db float64) Change {
	return Change{fmt.Sprintf("gain of %g dB", db), func(pcm []float32, _ int, _ uint64) []float32 {
		out := make([]float32, len(pcm))
		for i, v := range pcm {
			out[i] = v * float32(math.Pow(10, db/20))
		}
		return out
	}}
}

// Changes are those that an evaluation makes.
func Changes() []Change {
	return []Change{Shift(1), Shift(5), Shift(10), Noise(40), Noise(30), Noise(20), Gain(-3)}
}

// Stability says how many codes a change of the sound leaves as they are.
type Stability struct {
	Change string    `json:"change"`
	Same   []float64 `json:"same"`   // share of frames, for each codebook
	Prefix []float64 `json:"prefix"` // share of frames whose codes up to this codebook are all the same
}

// tally counts equal codes.
type tally struct {
	same, prefix []int
	frames       int
}

func (t *tally) add(a, b *codec.Tokens) {
	if t.same == nil {
		t.same, t.prefix = make([]int, a.Codebooks), make([]int, a.Codebooks)
	}
	for f := range min(a.Frames, b.Frames) {
		t.frames++
		all := true
		for q, c := range a.Frame(f) {
			equal := c == b.Frame(f)[q]
			all = all && equal
			if equal {
				t.same[q]++
			}
			if all {
				t.prefix[q]++
			}
		}
	}
}

func (t *tally) stability(change string) Stability {
	s := Stability{Change: change}
	n := float64(max(t.frames, 1))
	for q := range t.same {
		s.Same = append(s.Same, float64(t.same[q])/n)
		s.Prefix = append(s.Prefix, float64(t.prefix[q])/n)
	}
	return s
}

// MeasureStability encodes clips, mono at the model's rate, as they are and
// changed. done is told how many clips are through.
func MeasureStability(ctx context.Context, model codec.Codec, clips [][]float32, changes []Change, done func(n int)) ([]Stability, error) {
	tallies := make([]tally, len(changes))
	for i, pcm := range clips {
		plain, err := model.Encode(ctx, pcm, 0)
		if err != nil {
			return nil, err
		}
		for k, c := range changes {
			changed, err := model.Encode(ctx, c.apply(pcm, model.Info().SampleRate, uint64(i)), 0)
			if err != nil {
				return nil, err
			}
			tallies[k].add(plain, changed)
		}
		done(i + 1)
	}
	var out []Stability
	for k, c := range changes {
		out = append(out, tallies[k].stability(c.Name))
	}
	return out, nil
}
