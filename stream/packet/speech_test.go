package packet

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/stream/packet/packettest"
)

// TestSpeech sends speech through networks of every kind, on a clock that is
// simulated like them: with repairs, speech through a loss of a fifth is nine tenths
// as intelligible as through none. The sender's clock is 200 ppm fast.
func TestSpeech(t *testing.T) {
	var spoken []float32
	for _, name := range []string{"speech.wav", "flite.flac"} {
		pcm, err := audio.ReadMono(filepath.Join("..", "..", "samples", name), 16000)
		if err != nil {
			t.Fatal(err)
		}
		spoken = append(spoken, pcm...)
	}
	model, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	hear := func(t *testing.T, net packettest.Network) float64 {
		net.Keep = isControl
		rest := spoken
		var heard []float32
		r, s := call{
			codec: model, net: &net, send: SenderOptions{Repair: 1, Adaptive: true}, ppm: 200, length: 20 * time.Second,
			source: func(dst []float32) bool {
				n := copy(dst, rest)
				clear(dst[n:])
				rest = rest[n:]
				return n > 0
			},
			each: func(_ time.Duration, _ *Receiver, _ *Sender, pcm []float32) { heard = append(heard, pcm...) },
		}.run(t)
		score, err := packettest.ESTOI(spoken, heard, 9600)
		if err != nil {
			t.Fatal(err)
		}
		stats := r.Stats()
		t.Logf("ESTOI %.3f, receiver %+v, sender %+v", score, stats, s.Stats())
		// Frames that were lost at the very end are not known to have been there.
		if frames := stats.Played + stats.Repaired + stats.Concealed + stats.Skipped; !r.Done() || math.Abs(float64(frames-s.Stats().Packets)) > 8 {
			t.Errorf("%d frames of %d", frames, s.Stats().Packets)
		}
		return score
	}
	clean := hear(t, packettest.Network{})
	for _, n := range []struct {
		name  string
		net   packettest.Network
		share float64 // of the clean score, in the mean of several calls
	}{
		{"5 % lost", packettest.Network{Loss: 0.05}, 0.95},
		{"20 % lost", packettest.Network{Loss: 0.2}, 0.9},
		{"all", packettest.Network{Loss: 0.15, Burst: 2, Jitter: 50 * time.Millisecond, Reorder: 0.05, Duplicate: 0.05}, 0.85},
	} {
		t.Run(n.name, func(t *testing.T) {
			var scores []float64
			for seed := range uint64(6) {
				n.net.Seed(seed)
				scores = append(scores, hear(t, n.net))
			}
			t.Logf("ESTOI %.3f in the mean, %.3f to %.3f; %.3f without loss", mean(scores), slices.Min(scores), slices.Max(scores), clean)
			if mean(scores) < n.share*clean {
				t.Errorf("ESTOI %.3f of %.3f", mean(scores), clean)
			}
		})
	}
}
