package whisper

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/device"
)

// TestDevices holds whatever device there is beside the processor to its transcripts,
// its words while they are spoken, and to how an adapter learns.
func TestDevices(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	pcm := recording(t, "speech.wav")[:2*SampleRate]
	type result struct {
		tokens []int32
		words  []asr.Word
		losses []float64
	}
	run := func(b backend.Backend) (r result) {
		m, err := newModel(synthCheckpoint(tiny), b, backend.Float32, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := m.Transcribe(context.Background(), pcm, Options{Temperatures: []float64{0}, NoSpeech: 1, LogProb: math.Inf(-1), Silence: math.Inf(-1), Words: true, most: 8}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range text.Segments {
			r.tokens = append(r.tokens, s.Tokens...)
		}
		s, err := m.NewStream(asr.Options{Chunk: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		r.words = collect(t, s, pcm, func() int { return 7000 })
		tuner, err := NewTuner(m, &Adapter{Rank: 2, Alpha: 4, Chunk: 300 * time.Millisecond}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			loss, err := tuner.Learn([]*Utterance{spoken(t, 1)}, "en", 0.5, 5e-3)
			if err != nil {
				t.Fatal(err)
			}
			r.losses = append(r.losses, loss)
		}
		return r
	}
	var want *result
	for _, name := range []string{device.Vulkan, device.CUDA} {
		t.Run(name, func(t *testing.T) {
			gpu, err := device.Open(name, 2)
			if err != nil {
				t.Skip("SKIPPED: ", err)
			}
			if want == nil {
				r := run(cpu.New(2))
				want = &r
			}
			got := run(gpu)
			if len(want.tokens) == 0 || !slices.Equal(got.tokens, want.tokens) {
				t.Errorf("%v, the processor hears %v", got.tokens, want.tokens)
			}
			if len(got.words) != len(want.words) {
				t.Errorf("%v while they are spoken, the processor hears %v", got.words, want.words)
			}
			for i, w := range want.words {
				if g := got.words[min(i, len(got.words)-1)]; g.Text != w.Text || g.Start != w.Start || g.End != w.End {
					t.Errorf("word %d is %+v, on the processor %+v", i, g, w)
				}
			}
			for i, l := range want.losses {
				if d := math.Abs(got.losses[i] - l); d > 1e-4*l || name == device.CUDA && d > 0 {
					t.Errorf("update %d: a loss of %g, the processor has %g", i, got.losses[i], l)
				}
			}
			t.Logf("%s: %d tokens, %d words, losses %v", gpu.Name(), len(got.tokens), len(got.words), got.losses)
		})
	}
}
