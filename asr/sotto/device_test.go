package sotto

import (
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/asr"
)

// TestVulkan holds a graphics processor, or what stands in for one, to the words of
// the processor, and to its own in other pieces.
func TestVulkan(t *testing.T) {
	cpu := load(t)
	gpu, err := cpu.On("vulkan")
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	pcm := clip(t)
	texts := func(m *Model, o asr.Options, piece int) (words []string) {
		s, err := m.NewStream(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range transcript(t, s, pcm, func() int { return piece }) {
			words = append(words, w.Text)
		}
		return words
	}
	want := texts(cpu, asr.Options{}, len(pcm))
	t.Log(want)
	if got := texts(gpu, asr.Options{}, len(pcm)); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("%q, the processor hears %q", got, want)
	}
	if got := texts(gpu, asr.Options{}, 7777); !slices.Equal(got, want) {
		t.Errorf("in pieces %q, the processor hears %q", got, want)
	}
}
