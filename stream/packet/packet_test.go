package packet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/stream/packet/packettest"
)

// call simulates a sender, a network and a receiver: the receiver's playback
// runs by the simulated clock, the sender's is faster by ppm parts in a million.
type call struct {
	codec   codec.Codec
	net     *packettest.Network
	send    SenderOptions
	receive ReceiverOptions
	ppm     float64
	source  func(dst []float32) bool // false at the end; nil sends silence
	length  time.Duration
	each    func(now time.Duration, r *Receiver, s *Sender, heard []float32)
}

func (c call) run(t *testing.T) (*Receiver, *Sender) {
	t.Helper()
	s, err := NewSender(c.codec, c.send)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReceiver(c.codec, c.receive)
	if err != nil {
		t.Fatal(err)
	}
	const step = 10 * time.Millisecond
	epoch := time.Unix(1_700_000_000, 0)
	var clock float64 // of the sender, in samples
	pcm, heard := make([]float32, 160), make([]float32, 160)
	sent, over := 0, false
	for now := time.Duration(0); now < c.length; now += step {
		clock += 160 * (1 + c.ppm*1e-6)
		for !over && float64(sent+160) <= clock {
			emit := func(p []byte) error { c.net.Send(now, p); return nil }
			if c.source != nil && !c.source(pcm) {
				over = true
				err = s.Flush(emit)
			} else {
				err = s.Push(pcm, emit)
				sent += 160
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for {
			data, at, ok := c.net.Receive(now)
			if !ok {
				break
			}
			if err := r.Packet(at, data); err != nil {
				t.Fatal(err)
			}
		}
		if now%time.Second == 0 {
			sr, err := s.Report(epoch.Add(now))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Packet(now, sr); err != nil {
				t.Fatal(err)
			}
			report, err := r.Report(now)
			if err != nil {
				t.Fatal(err)
			}
			if report != nil {
				if err := s.Feedback(epoch.Add(now+5*time.Millisecond), report); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := r.Read(now, heard); err != nil {
			t.Fatal(err)
		}
		if c.each != nil {
			c.each(now, r, s, heard)
		}
		if r.Done() {
			break
		}
	}
	return r, s
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// TestHour: through every kind of network, an hour of the worst, with a clock
// 200 ppm off. Frames play in order, the buffer neither grows nor shrinks, and the
// loss, the repairs and the drift are measured right.
func TestHour(t *testing.T) {
	for _, c := range []struct {
		name     string
		net      packettest.Network
		repair   float64
		ppm      float64
		depth    float64 // ms, at most, in the mean of any minute
		guessed  float64 // share of the frames, at most
		lostPart float64
	}{
		{"clean", packettest.Network{}, 0, 200, 60, 0.0001, 0},
		{"slow clock", packettest.Network{}, 0, -200, 60, 0.0001, 0},
		{"5 % lost", packettest.Network{Loss: 0.05}, 0.5, 200, 90, 0.005, 0.05},
		{"20 % lost", packettest.Network{Loss: 0.2}, 1, 200, 150, 0.015, 0.2},
		{"bursts", packettest.Network{Loss: 0.1, Burst: 3}, 1, 200, 180, 0.04, 0.1},
		{"50 ms jitter", packettest.Network{Jitter: 50 * time.Millisecond}, 0, 200, 110, 0.015, 0},
		{"all", packettest.Network{Loss: 0.2, Burst: 1.5, Jitter: 50 * time.Millisecond, Reorder: 0.05, Duplicate: 0.05}, 1, 200, 250, 0.05, 0.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			length := 10 * time.Minute
			if c.name == "all" && !testing.Short() || os.Getenv("SOTTO_LONG") != "" {
				length = time.Hour
			}
			c.net.Keep = isControl
			model := &counted{}
			var minutes []float64
			var depth float64
			r, s := call{
				codec: model, net: &c.net, send: SenderOptions{Repair: c.repair, Adaptive: true}, ppm: c.ppm, length: length,
				each: func(now time.Duration, r *Receiver, _ *Sender, _ []float32) {
					depth += r.Stats().BufferMS / 6000
					if (now+10*time.Millisecond)%time.Minute == 0 {
						minutes = append(minutes, depth)
						depth = 0
					}
				},
			}.run(t)
			stats := r.Stats()
			t.Logf("buffer by minute %.0f to %.0f ms, %+v, sender at %d codebooks, loss %.3f",
				slices.Min(minutes[1:]), slices.Max(minutes[1:]), stats, s.Stats().Codebooks, s.Stats().Loss)
			var last int64 = -1
			for _, f := range model.decoded {
				if f >= 0 && f <= last {
					t.Fatalf("frame %d plays after frame %d", f, last)
				}
				last = max(last, f)
			}
			frames := float64(stats.Played + stats.Repaired + stats.Concealed)
			if want := length.Seconds() * 50 * (1 + c.ppm*1e-6); math.Abs(frames-want) > 30+0.001*want {
				t.Errorf("%.0f frames of %.0f", frames, want)
			}
			if got := float64(stats.Concealed+stats.Stretched+stats.Skipped) / frames; got > c.guessed {
				t.Errorf("%.4f of the frames are guessed, more than %.4f", got, c.guessed)
			}
			if lost := float64(stats.Lost) / frames; math.Abs(lost-c.lostPart) > 0.01 {
				t.Errorf("loss is measured as %.3f, not %.3f", lost, c.lostPart)
			}
			if high := slices.Max(minutes[1:]); high > c.depth {
				t.Errorf("the buffer holds %.0f ms, more than %.0f", high, c.depth)
			}
			n := len(minutes)
			if head, tail := mean(minutes[1:n/2+1]), mean(minutes[n/2:]); math.Abs(head-tail) > 10 {
				t.Errorf("the buffer drifts from %.1f to %.1f ms", head, tail)
			}
			if math.Abs(stats.DriftPPM-c.ppm) > 20 {
				t.Errorf("a drift of %.0f ppm is measured as %.0f", c.ppm, stats.DriftPPM)
			}
			if trip := s.Stats().RoundTrip; math.Abs(trip.Seconds()-0.005) > 0.001 {
				t.Errorf("a round trip of 5 ms is measured as %v", trip)
			}
		})
	}
}

func mean(v []float64) float64 {
	var s float64
	for _, x := range v {
		s += x
	}
	return s / float64(len(v))
}

// TestFollowsLoss: residual levels go with the loss and come back after it.
func TestFollowsLoss(t *testing.T) {
	net := &packettest.Network{}
	books := map[time.Duration]int{}
	call{
		codec: &counted{}, net: net, send: SenderOptions{Adaptive: true}, length: 91 * time.Second,
		each: func(now time.Duration, _ *Receiver, s *Sender, _ []float32) {
			switch now {
			case 20 * time.Second:
				net.Loss = 0.2
			case 50 * time.Second:
				net.Loss = 0
			}
			books[now] = s.Stats().Codebooks
		},
	}.run(t)
	if a, b, c := books[19*time.Second], books[49*time.Second], books[90*time.Second]; a != 8 || b > 6 || b < 3 || c != 8 {
		t.Errorf("codebooks are %d before, %d in and %d after a loss of a fifth", a, b, c)
	}
}

// TestLatency: on a clean network little waits.
func TestLatency(t *testing.T) {
	net := &packettest.Network{}
	var depth []float64
	call{
		codec: &counted{}, net: net, length: time.Minute,
		each: func(now time.Duration, r *Receiver, _ *Sender, _ []float32) {
			if now > 30*time.Second {
				depth = append(depth, r.Stats().BufferMS)
			}
		},
	}.run(t)
	if m := mean(depth); m > 35 {
		t.Errorf("%.1f ms wait in the buffer of a clean network", m)
	}
}

// TestPause: a sender that falls silent and goes on, its clock having run or not,
// is heard again; a second sender is heard once the first is gone.
func TestPause(t *testing.T) {
	for _, runs := range []bool{true, false} {
		t.Run(fmt.Sprint(runs), func(t *testing.T) {
			model := &counted{}
			s, err := NewSender(model, SenderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewReceiver(model, ReceiverOptions{})
			if err != nil {
				t.Fatal(err)
			}
			pcm := make([]float32, 320)
			at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
			for ms := 0; ms < 30000; ms += 20 {
				paused := ms >= 5000 && ms < 20000
				err := s.Push(pcm, func(p []byte) error {
					if paused {
						return nil
					}
					return r.Packet(at(ms), p)
				})
				if paused && !runs {
					s.header.Timestamp -= 320
					s.header.SequenceNumber--
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Read(at(ms), pcm); err != nil {
					t.Fatal(err)
				}
			}
			stats := r.Stats()
			if stats.Played < 730 || stats.BufferMS > 300 {
				t.Errorf("%+v", stats)
			}
			other, err := NewSender(model, SenderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			refused := false
			for ms := 30000; ms < 36000; ms += 20 {
				if ms < 31000 {
					s.Push(pcm, func(p []byte) error { return r.Packet(at(ms), p) })
				}
				other.Push(pcm, func(p []byte) error {
					if r.Packet(at(ms), p) != nil {
						refused = true
					}
					return nil
				})
				if err := r.Read(at(ms), pcm); err != nil {
					t.Fatal(err)
				}
			}
			if got := r.Stats().Played - stats.Played; !refused || got < 100 {
				t.Errorf("%d frames of two senders, one after the other", got)
			}
		})
	}
}

// TestUnread: memory is bounded where packets come and nobody listens, and where
// they jump.
func TestUnread(t *testing.T) {
	model := &counted{}
	s, _ := NewSender(model, SenderOptions{})
	r, _ := NewReceiver(model, ReceiverOptions{})
	g := rng(4)
	pcm := make([]float32, 320)
	for i := range 5000 {
		if g.IntN(20) == 0 {
			s.header.Timestamp += 320 * g.Uint32N(1<<22)
		}
		s.Push(pcm, func(p []byte) error { return r.Packet(time.Duration(i)*time.Millisecond, p) })
	}
	if len(r.frames) > 101 {
		t.Errorf("%d frames are kept", len(r.frames))
	}
	if err := r.Read(6*time.Second, pcm); err != nil {
		t.Error(err)
	}
}

// FuzzPacket: nothing that arrives breaks the receiver.
func FuzzPacket(f *testing.F) {
	model := &counted{}
	s, _ := NewSender(model, SenderOptions{Repair: 1})
	var seeds [][]byte
	pcm := make([]float32, 5*320)
	s.Push(pcm, func(p []byte) error { seeds = append(seeds, p); return nil })
	s.Flush(func(p []byte) error { seeds = append(seeds, p); return nil })
	for _, p := range seeds {
		f.Add(p)
	}
	report, _ := s.Report(time.Unix(1, 0))
	f.Add(report)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _ := NewReceiver(model, ReceiverOptions{})
		out := make([]float32, 320)
		for i, p := range seeds[:4] {
			r.Packet(time.Duration(i)*20*time.Millisecond, p)
			r.Packet(time.Duration(i)*20*time.Millisecond, data)
			if err := r.Read(time.Duration(i)*20*time.Millisecond+time.Millisecond, out); err != nil {
				t.Fatal(err)
			}
		}
		s.Feedback(time.Unix(1, 0), data)
	})
}
