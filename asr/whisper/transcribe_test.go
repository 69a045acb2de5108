package whisper

import (
	"context"
	"math"
	"slices"
	"testing"
)

// long is what long transcripts were made of: 72 seconds.
func long(t testing.TB) []float32 {
	part := recording(t, "speech.wav", "espeak.flac", "festival.flac", "flite.flac")
	return slices.Concat(part, part, part, part)
}

func TestLongTranscriptsAreThoseOfTheOriginal(t *testing.T) {
	var want map[string]*expectation
	readFixture(t, "expected.json", &want)
	for name, w := range want {
		m := synthModel(t, dims(w.Sizes), 0)
		for i, c := range w.Transcripts {
			o := Options{
				Temperatures: []float64{0}, NoSpeech: 1, LogProb: math.Inf(-1), Silence: math.Inf(-1),
				Condition: c.Options.Condition == nil, Prompt: c.Options.Prompt, Words: c.Options.Words, most: 50,
			}
			got, err := m.Transcribe(context.Background(), long(t), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Language != c.Result.Language {
				t.Errorf("%s %d: language %q, want %q", name, i, got.Language, c.Result.Language)
			}
			n := 0
			for _, s := range c.Result.Segments {
				if len(s.Tokens) == 0 {
					continue // no text
				}
				if n >= len(got.Segments) {
					n++
					continue
				}
				g := got.Segments[n]
				if g.seek != s.Seek || !near(g.Start, s.Start) || !near(g.End, s.End) || !slices.Equal(g.Tokens, s.Tokens) {
					t.Errorf("%s %d: segment %d is at %d, %g to %g: %v\nwant at %d, %g to %g: %v", name, i, n, g.seek, g.Start, g.End, g.Tokens, s.Seek, s.Start, s.End, s.Tokens)
					break
				}
				if len(g.Words) != len(s.Words) {
					t.Errorf("%s %d: segment %d has %d words, want %d", name, i, n, len(g.Words), len(s.Words))
				} else {
					for k, word := range s.Words {
						gw := g.Words[k]
						if gw.Text != word[0] || !near(gw.Start, word[1].(float64)) || !near(gw.End, word[2].(float64)) || math.Abs(gw.Probability-word[3].(float64)) > 1e-4 {
							t.Errorf("%s %d: segment %d word %d is %+v, want %v", name, i, n, k, gw, word)
						}
					}
				}
				n++
			}
			if n != len(got.Segments) || n < 3 {
				t.Errorf("%s %d: %d segments, want %d", name, i, len(got.Segments), n)
			}
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }
