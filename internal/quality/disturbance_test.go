package quality

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestDisturbancesAreWhatTheySay(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	pcm := make([]float32, 16000)
	for i := range pcm {
		pcm[i] = float32(0.1 * rng.NormFloat64())
	}
	if out := Shift(5).Apply(pcm, 16000); len(out) != 16000+80 || out[79] != 0 || out[80] != pcm[0] {
		t.Errorf("shifted by 5 ms: %d samples", len(out))
	}
	level := func(x []float32) (s float64) {
		for _, v := range x {
			s += float64(v) * float64(v)
		}
		return 10 * math.Log10(s)
	}
	noisy := Noise(20).Apply(pcm, 16000)
	for i := range noisy {
		noisy[i] -= pcm[i]
	}
	if db := level(pcm) - level(noisy); math.Abs(db-20) > 0.2 {
		t.Errorf("noise is %.2f dB below the sound, want 20", db)
	}
	if db := level(Gain(-3).Apply(pcm, 16000)) - level(pcm); math.Abs(db+3) > 1e-3 {
		t.Errorf("the gain is %.3f dB, want -3", db)
	}
}
