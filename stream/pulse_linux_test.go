package stream

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	pulseclient "github.com/jfreymuth/pulse"
	"github.com/sotto-audio/sotto/internal/pulsetest"
)

// TestPulse plays a tone of one second and records what the server heard: all
// of it, at its pitch and level.
func TestPulse(t *testing.T) {
	pulsetest.Start(t, "null")
	client, err := pulseclient.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	sink, err := client.DefaultSink()
	if err != nil {
		t.Fatal(err)
	}
	for pass, channels := range []int{1, 1, 2, 3} {
		const rate, hz = 16000, 440
		var mu sync.Mutex
		var heard []float32
		rec, err := client.NewRecord(pulseclient.Float32Writer(func(b []float32) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, b...)
			return len(b), nil
		}), pulseclient.RecordMonitor(sink), pulseclient.RecordMono, pulseclient.RecordSampleRate(rate), pulseclient.RecordLatency(0.02))
		if err != nil {
			t.Fatal(err)
		}
		rec.Start()
		time.Sleep(300 * time.Millisecond) // a monitor is heard from its next buffer on
		var last int64
		start := time.Now()
		err = Play(t.Context(), &tone{rate: rate, channels: channels, frames: rate, hz: hz}, rate, channels, func(frames int64) { last = frames })
		took := time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		if last != rate {
			t.Errorf("%d channels: position ends at %d, want %d", channels, last, rate)
		}
		if took < 900*time.Millisecond || took > time.Minute {
			t.Errorf("%d channels: one second takes %v", channels, took)
		}
		time.Sleep(300 * time.Millisecond)
		rec.Stop()
		rec.Close()
		if pass == 0 {
			// A null sink that has just got its first listeners takes back the two
			// seconds that it rendered ahead, and its monitor misses as much.
			continue
		}
		mu.Lock()
		var sum float64
		crossings := 0
		for i, v := range heard {
			sum += float64(v) * float64(v)
			if i > 0 && (v >= 0) != (heard[i-1] >= 0) && math.Abs(float64(v-heard[i-1])) > 1e-3 {
				crossings++
			}
		}
		mu.Unlock()
		// A sine of amplitude 0.5 has power 1/8, and 880 zero crossings a second.
		if energy := sum / (rate / 8.0); math.Abs(energy-1) > 0.05 {
			t.Errorf("%d channels: the server heard %.3f of the energy", channels, energy)
		}
		if crossings < 870 || crossings > 890 {
			t.Errorf("%d channels: %d zero crossings, want 880", channels, crossings)
		}
	}
}

// TestPulseCancel: a stop is prompt.
func TestPulseCancel(t *testing.T) {
	pulsetest.Start(t, "null")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := Play(ctx, &tone{rate: 16000, channels: 1, frames: 160000, hz: 440}, 16000, 1, nil)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 8*time.Second {
		t.Errorf("stopping gives %v after %v", err, time.Since(start))
	}
}
