package tokeneval

import (
	"context"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/quality"
)

// Stability says how many codes a change of the sound that should not matter leaves
// as they are.
type Stability struct {
	Disturbance string    `json:"disturbance"`
	Same        []float64 `json:"same"`   // share of frames, for each codebook
	Prefix      []float64 `json:"prefix"` // share of frames whose codes up to this codebook are all the same
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

func (t *tally) stability(name string) Stability {
	s := Stability{Disturbance: name}
	n := float64(max(t.frames, 1))
	for q := range t.same {
		s.Same = append(s.Same, float64(t.same[q])/n)
		s.Prefix = append(s.Prefix, float64(t.prefix[q])/n)
	}
	return s
}

// MeasureStability encodes clips, mono at the model's rate, as they are and
// disturbed. done is told how many clips are through.
func MeasureStability(ctx context.Context, model codec.Codec, clips [][]float32, disturbances []quality.Disturbance, done func(n int)) ([]Stability, error) {
	tallies := make([]tally, len(disturbances))
	for i, pcm := range clips {
		plain, err := model.Encode(ctx, pcm, 0)
		if err != nil {
			return nil, err
		}
		for k, d := range disturbances {
			changed, err := model.Encode(ctx, d.Apply(pcm, model.Info().SampleRate), 0)
			if err != nil {
				return nil, err
			}
			tallies[k].add(plain, changed)
		}
		done(i + 1)
	}
	var out []Stability
	for k, d := range disturbances {
		out = append(out, tallies[k].stability(d.Name))
	}
	return out, nil
}
