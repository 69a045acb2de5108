package train

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// hum is a corpus of a few seconds of modulated harmonics.
func hum(rng *rand.Rand) *Corpus {
	c := &Corpus{Rate: 16000}
	for i := range 4 {
		clip := Clip{Samples: make([]int16, 5*16000), Gain: 1.0 / 32768, Speaker: string(rune('a' + i))}
		pitch, phase := 90+30*float64(i), 0.0
		for t := range clip.Samples {
			s := float64(t) / 16000
			phase += 2 * math.Pi * pitch * (1 + 0.1*math.Sin(3*s)) / 16000
			v := 0.0
			for h := 1.0; h < 9; h++ {
				v += math.Sin(h*phase) / h
			}
			v *= 0.08 * (1 + math.Sin(2*math.Pi*2.5*s))
			clip.Samples[t] = int16(32768 * (v + 0.002*rng.NormFloat64()))
		}
		c.Clips = append(c.Clips, clip)
		c.cumulative = append(c.cumulative, float64(i+1))
	}
	return c
}

// BenchmarkUpdate reports audio seconds a second and the model's matrix
// operations as a share of the GEMM rate measured in the same run, without
// discriminators and with those of two cores.
func BenchmarkUpdate(b *testing.B) {
	b.Run("codec", func(b *testing.B) { benchmarkUpdate(b, DefaultCodecConfig()) })
	b.Run("adversary", func(b *testing.B) {
		c, a := DefaultCodecConfig(), NarrowAdversary()
		c.Discriminators = &a
		benchmarkUpdate(b, c)
	})
}

func benchmarkUpdate(b *testing.B, c CodecConfig) {
	c.LinearCrops, c.KMeansStep, c.KMeansRows = 0, 2, 1024
	device := cpu.New(1)
	t, err := NewCodec(c, hum(rand.New(rand.NewPCG(1, 1))), device)
	if err != nil {
		b.Fatal(err)
	}
	defer t.Close()
	update := func() {
		if err := t.Update(0.5); err != nil {
			b.Fatal(err)
		}
	}
	for range 4 {
		update()
	}
	peak := GEMMRate(device, c.Shards)
	begin := time.Now()
	n := 0
	var loss, solver time.Duration
	for b.Loop() {
		update()
		n++
		loss += t.shards[0].objective.Took
		solver += t.solver.Took
	}
	took := time.Since(begin).Seconds()
	b.ReportMetric(float64(n*c.Batch*c.Frames)/50/took, "audio-s/s")
	b.ReportMetric(100*t.FLOPs()*float64(n)/took/peak, "%GEMM")
	b.ReportMetric(100*loss.Seconds()/took, "%loss")
	b.ReportMetric(100*solver.Seconds()/took, "%solver")
}
