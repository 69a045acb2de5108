package sotto

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
)

// Silence, noise and chords have no words; the card beside the weights has the
// figures of ten minutes each.
func TestNoWordsWithoutSpeech(t *testing.T) {
	m := load(t)
	rng := rand.New(rand.NewPCG(1, 2))
	n := 20 * 16000
	sounds := map[string][]float32{"silence": make([]float32, n), "white noise": make([]float32, n), "music": make([]float32, n)}
	for i := range n {
		sounds["white noise"][i] = float32(0.05 * rng.NormFloat64())
	}
	// Chords of three tones with overtones, struck twice a second, over a bass.
	scale := []float64{0, 2, 4, 5, 7, 9, 11}
	for beat := 0; beat*8000 < n; beat++ {
		for voice := range 4 {
			note := 48 + 12*float64(voice/2) + scale[(3*beat+2*voice)%7]
			f := 440 * math.Exp2((note-69)/12)
			for i := range min(16000, n-beat*8000) {
				at := float64(i) / 16000
				v := 0.0
				for h := 1.0; h <= 5; h++ {
					v += math.Sin(2*math.Pi*h*f*at) / (h * h)
				}
				sounds["music"][beat*8000+i] += float32(0.08 * v * math.Exp(-3*at) * min(1, 200*at))
			}
		}
	}
	for name, pcm := range sounds {
		s, err := m.NewStream(asr.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if words := transcript(t, s, pcm, func() int { return 1600 }); len(words) > 0 {
			t.Errorf("%s: %v", name, words)
		}
	}
}

// What is heard and kept after a while is what was heard and kept before: the same
// words at times later by the period, from the same memory. Confidences differ in
// their last digits, as angles of other positions round in another way.
func TestLongStreamStaysTheSame(t *testing.T) {
	m := load(t)
	s, err := m.NewStream(asr.Options{})
	if err != nil {
		t.Fatal(err)
	}
	period := append(clip(t), make([]float32, 2*16000)...)
	period = append(period, make([]float32, 5120-len(period)%5120)...) // whole chunks
	length := time.Duration(len(period)) * time.Second / 16000
	var passes [][]asr.Word
	var heap []uint64
	passes = append(passes, nil)
	for pass := range 12 {
		for pcm := period; len(pcm) > 0; {
			k := min(4000, len(pcm))
			u, err := s.Push(pcm[:k])
			if err != nil {
				t.Fatal(err)
			}
			pcm = pcm[k:]
			for _, w := range u.Committed {
				// By when it was said, not when it was known.
				for int(w.Start/length) >= len(passes) {
					passes = append(passes, nil)
				}
				p := int(w.Start / length)
				shift := time.Duration(p) * length
				w.Start, w.End, w.Emitted = w.Start-shift, w.End-shift, w.Emitted-shift
				passes[p] = append(passes[p], w)
			}
		}
		if pass == 5 || pass == 11 {
			var stats runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&stats)
			heap = append(heap, stats.HeapAlloc)
		}
	}
	if len(passes) < 11 || len(passes[9]) == 0 {
		t.Fatalf("%d passes had words", len(passes))
	}
	same := slices.EqualFunc(passes[5], passes[10], func(a, b asr.Word) bool {
		near := math.Abs(a.Confidence-b.Confidence) < 1e-4
		a.Confidence = b.Confidence
		return near && a == b
	})
	if !same {
		t.Errorf("pass 6 heard %v, pass 11 %v", passes[5], passes[10])
	}
	if grown := int64(heap[1]) - int64(heap[0]); grown > 1<<20 {
		t.Errorf("memory grew by %d bytes in six passes", grown)
	}
}
