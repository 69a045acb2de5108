package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// The alignment is that of the best among all paths that spell the labels.
func TestAlignIsTheBestPath(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	const rows, symbols = 6, 4
	for _, labels := range [][]int32{{1}, {2, 3}, {2, 2}, {3, 1, 3}, {1, 1, 2}} {
		scores := backend.Host(make([]float32, rows*symbols), rows, symbols)
		for range 20 {
			for i := range scores.Data {
				scores.Data[i] = float32(rng.NormFloat64())
			}
			best, want := math.Inf(-1), []int(nil)
			path := make([]int32, rows)
			for code := range 1 << (2 * rows) {
				var spelt []int32
				var first []int
				var sum float64
				for r := range path {
					path[r] = int32(code >> (2 * r) & 3)
					sum += float64(scores.Row(r)[path[r]])
					if path[r] != 0 && (r == 0 || path[r] != path[r-1]) {
						spelt, first = append(spelt, path[r]), append(first, r)
					}
				}
				if slices.Equal(spelt, labels) && sum > best {
					best, want = sum, first
				}
			}
			if got := align(scores, labels); !slices.Equal(got, want) {
				t.Fatalf("%v at rows %v, the best path has %v", labels, got, want)
			}
		}
	}
	if got := align(backend.Host(make([]float32, 2*symbols), 2, symbols), []int32{1, 1}); got != nil {
		t.Errorf("two equal letters in two rows at %v", got)
	}
}

// A phrase holds the letters, latents and codes of its words, and those of all words
// together are the utterance.
func TestPhrases(t *testing.T) {
	labels, _ := recognizer.Labels("ab cd e")
	u := &Utterance{Spoken: Spoken{Frames: 10}, Labels: labels, Latents: make([]uint16, 20), Codes: make([]int16, 10)}
	for i := range u.Latents {
		u.Latents[i] = uint16(i)
	}
	for i := range u.Codes {
		u.Codes[i] = int16(i)
	}
	cuts := []int{0, 3, 6, 10}
	for _, c := range []struct {
		first, end int
		spelling   string
	}{{0, 1, "ab"}, {0, 2, "ab cd"}, {1, 2, "cd"}, {1, 3, "cd e"}, {2, 3, "e"}, {0, 3, "ab cd e"}} {
		p := u.phrase(c.first, c.end, cuts, 2)
		want, _ := recognizer.Labels(c.spelling)
		if !slices.Equal(p.Labels, want) || p.Frames != cuts[c.end]-cuts[c.first] ||
			!slices.Equal(p.Latents, u.Latents[2*cuts[c.first]:2*cuts[c.end]]) || !slices.Equal(p.Codes, u.Codes[cuts[c.first]:cuts[c.end]]) {
			t.Errorf("words %d to %d: %v, %d frames", c.first, c.end, p.Labels, p.Frames)
		}
	}
	if p := u.phrase(0, 1, []int{0, 10}, 2); !slices.Equal(p.Labels, labels) || p.Frames != 10 {
		t.Errorf("an utterance that is not cut: %v, %d frames", p.Labels, p.Frames)
	}
}
