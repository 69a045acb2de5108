package sotto

import (
	"math"
	"testing"
)

// rms is the level of sound in dB of full scale.
func rms(pcm []float32) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm))+1e-18)
}

// TestSeams: silence stays silent, before, after and between speech, and sound that
// starts or ends in the middle of a word does so without a click or a gap.
func TestSeams(t *testing.T) {
	m := must(Default())
	speech := clip(t, 0, 5)
	run := func(pcm []float32, books int) []float32 {
		t.Helper()
		tokens, err := m.Encode(t.Context(), pcm, books)
		if err != nil {
			t.Fatal(err)
		}
		out, err := m.Decode(t.Context(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		return out[:len(pcm)]
	}
	for _, books := range m.Info().Levels {
		for i, v := range run(make([]float32, 32000), books) {
			if math.Abs(float64(v)) > 1e-3 {
				t.Errorf("%d codebooks: sample %d of silence is %g", books, i, v)
				break
			}
		}
		pause := append(append(append([]float32(nil), speech[:40000]...), make([]float32, 32000)...), speech[40000:]...)
		if got := rms(run(pause, books)[48000:64000]); got > -80 {
			t.Errorf("%d codebooks: a pause of silence has %.0f dB", books, got)
		}
		cut := speech[20000:60000]
		out := run(cut, books)
		const edge = 320
		for name, part := range map[string][2]int{"first": {0, edge}, "last": {len(cut) - edge, len(cut)}} {
			want, got := rms(cut[part[0]:part[1]]), rms(out[part[0]:part[1]])
			if math.Abs(got-want) > 6 {
				t.Errorf("%d codebooks: the %s 20 ms of cut speech have %.1f dB, not %.1f", books, name, got, want)
			}
		}
	}
}
