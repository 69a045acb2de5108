package stream

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"
	"time"
)

// tone is a Source of a sine at half amplitude on every channel.
type tone struct {
	rate, channels, frames, at int
	hz                         float64
}

func (s *tone) Read(dst []float32) (int, error) {
	n := min(len(dst)/s.channels, s.frames-s.at)
	if n == 0 {
		return 0, io.EOF
	}
	for i := range n {
		v := float32(0.5 * math.Sin(2*math.Pi*s.hz*float64(s.at+i)/float64(s.rate)))
		for c := range s.channels {
			dst[i*s.channels+c] = v
		}
	}
	s.at += n
	return n * s.channels, nil
}

// noDevice hides every way to the speakers.
func noDevice(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PULSE_SERVER", "unix:"+dir+"/none")
	t.Setenv("HOME", dir)
	t.Setenv("ALSA_CONFIG_PATH", dir+"/none")
}

func TestNoDevice(t *testing.T) {
	noDevice(t)
	done := make(chan error, 1)
	go func() {
		done <- Play(t.Context(), &tone{rate: 16000, channels: 1, frames: 16000, hz: 440}, 16000, 1, nil)
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNoDevice) {
			t.Errorf("without a device: %v, want ErrNoDevice", err)
		}
	case <-time.After(time.Minute):
		t.Error("without a device, Play hangs")
	}
}

// TestEmpty: nothing to play needs no device.
func TestEmpty(t *testing.T) {
	noDevice(t)
	if err := Play(t.Context(), &tone{rate: 16000, channels: 1}, 16000, 1, nil); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ rate, channels int }{{0, 1}, {16000, 0}, {-1, 2}} {
		if err := Play(t.Context(), &tone{rate: 1, channels: 1}, c.rate, c.channels, nil); err == nil {
			t.Errorf("%d channels at %d Hz are taken", c.channels, c.rate)
		}
	}
}

func TestMix(t *testing.T) {
	got := mix([]float32{1, 2, 3, -3, 0, 3}, 3)
	if len(got) != 2 || got[0] != 2 || got[1] != 0 {
		t.Errorf("mix gives %v, want [2 0]", got)
	}
}

func TestCancelledBefore(t *testing.T) {
	noDevice(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Play(ctx, &tone{rate: 16000, channels: 1, frames: 16000, hz: 440}, 16000, 1, nil)
	if err == nil {
		t.Error("a cancelled context plays")
	}
}
