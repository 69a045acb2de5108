package audio

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestDriftUnchanged: at ratio 1 samples come out as they went in, in any chunks.
func TestDriftUnchanged(t *testing.T) {
	x := tone(440, 16000, 16000, 0.5)
	d := NewDrift()
	var y []float32
	rng := rand.New(rand.NewPCG(1, 1))
	for left := x; len(left) > 0; {
		n := min(len(left), rng.IntN(700))
		y = d.Process(y, left[:n])
		left = left[n:]
	}
	if len(y) != len(x)-driftHalf || math.Abs(d.Held()-driftHalf) > 1e-9 {
		t.Fatalf("%d samples of %d, %v held", len(y), len(x), d.Held())
	}
	for i, v := range y {
		if math.Abs(float64(v-x[i])) > 1e-6 {
			t.Fatalf("sample %d is %g, not %g", i, v, x[i])
		}
	}
}

// TestDriftTone: a tone played faster is the tone at the faster times, also after
// the ratio has changed.
func TestDriftTone(t *testing.T) {
	const rate, hz = 16000, 3000.0
	for _, ratio := range []float64{0.995, 0.9998, 1.0002, 1.005} {
		x := tone(hz, rate, 4*rate, 0.5)
		d := NewDrift()
		y := d.Process(nil, x[:rate])
		n := len(y)
		d.SetRatio(ratio)
		y = d.Process(y, x[rate:])
		var worst float64
		for i := 100; i < len(y)-100; i++ {
			at := float64(i)
			if i > n {
				at = float64(n) + float64(i-n)*ratio
			}
			worst = max(worst, math.Abs(float64(y[i])-0.5*math.Sin(2*math.Pi*hz/rate*at)))
		}
		if worst > 0.5e-3 {
			t.Errorf("ratio %v: off by %g", ratio, worst)
		}
		if want := float64(n) + float64(3*rate)/ratio; math.Abs(float64(len(y))-want) > 2 {
			t.Errorf("ratio %v: %d samples, want %.0f", ratio, len(y), want)
		}
	}
}
