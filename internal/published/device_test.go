package published

import (
	"math"
	"testing"
)

// A codec gives the codes of the processor on a graphics processor, or what stands in
// for one, and its samples to 60 dB: layers that work on the host's memory included.
func TestVulkan(t *testing.T) {
	x := signal(3000)
	for name, c := range map[string]*Codec{"plain": toy(none, none), "norm": toy(norm, norm), "local": toy(local, local)} {
		gpu, err := c.On("vulkan")
		if err != nil {
			t.Skip("SKIPPED: ", err)
		}
		want, wave := run(t, c, x)
		got, other := run(t, gpu, x)
		differ := 0
		for i, code := range want {
			if got[i] != code {
				differ++
			}
		}
		var signal, noise float64
		for i, v := range wave {
			signal += float64(v) * float64(v)
			noise += math.Pow(float64(v)-float64(other[i]), 2)
		}
		t.Logf("%s: %d of %d codes differ, samples at %.0f dB", name, differ, len(want), 10*math.Log10(signal/noise))
		if differ > 0 || noise > 1e-6*signal {
			t.Errorf("%s: %d of %d codes differ, samples at %.0f dB", name, differ, len(want), 10*math.Log10(signal/noise))
		}
	}
}
