// Package stream moves sound in real time: from microphones and to speakers.
// stream/packet carries it over networks, stream/serve serves it to browsers.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ErrNoDevice says that nothing here can play or record sound; errors that wrap
// it say what was tried.
var ErrNoDevice = errors.New("no sound device")

// Source gives interleaved samples in [-1, 1]: n of them, a multiple of the
// number of channels, and io.EOF at the end.
type Source interface {
	Read(dst []float32) (n int, err error)
}

// PlayOptions choose where and how sound is played. The zero value is the default
// device.
type PlayOptions struct {
	// Device is a name as Devices gives it; empty is the system's default.
	Device string
	// Latency is how much sound the device holds; 0 means 250 ms.
	Latency time.Duration
	// Position, which may be nil, is told how many frames the device has taken.
	Position func(frames int64)
	// Underrun, which may be nil, is told when the device ran dry. It goes on with
	// the next sound. Another goroutine calls it.
	Underrun func()
}

// sink is an open device that takes one or two channels.
type sink interface {
	// write takes interleaved samples and waits while the device has enough. The
	// slice may be used again when it returns.
	write(ctx context.Context, block []float32) error
	// drain waits until all that was written has been heard.
	drain(ctx context.Context) error
	close()
}

// opener knows one way to the speakers and, where record is not nil, to the
// microphones.
type opener struct {
	name    string
	open    func(ctx context.Context, rate, channels int, o PlayOptions) (sink, error)
	record  func(ctx context.Context, o RecordOptions) (capture, error)
	devices func(ctx context.Context) ([]Device, error)
}

// Play plays src, sampled at rate Hz, to its end on the default device and
// returns when the last sample has been heard. More than two channels are mixed
// to one. Position, which may be nil, is told how many frames the device has
// taken. Without a device the error wraps ErrNoDevice.
func Play(ctx context.Context, src Source, rate, channels int, position func(frames int64)) error {
	return PlayOn(ctx, src, rate, channels, PlayOptions{Position: position})
}

// PlayOn is Play with a choice of the device.
func PlayOn(ctx context.Context, src Source, rate, channels int, o PlayOptions) error {
	if rate < 1 || channels < 1 {
		return fmt.Errorf("stream: %d channels at %d Hz cannot be played", channels, rate)
	}
	if o.Latency == 0 {
		o.Latency = 250 * time.Millisecond
	}
	// Short blocks keep the position smooth and a stop prompt; several fit the
	// device.
	length := min(20*time.Millisecond, o.Latency/3)
	block := make([]float32, max(1, int(length.Seconds()*float64(rate)))*channels)
	n, err := src.Read(block)
	if n == 0 && err == io.EOF {
		return nil
	}
	out := channels
	if out > 2 {
		out = 1
	}
	device, openErr := open(ctx, o.Device, "play", func(w opener, device string) (sink, error) {
		o.Device = device
		return w.open(ctx, rate, out, o)
	})
	if openErr != nil {
		return openErr
	}
	defer device.close()
	var frames int64
	for {
		if n > 0 {
			pcm := block[:n]
			if channels > 2 {
				pcm = mix(pcm, channels)
			}
			if err := device.write(ctx, pcm); err != nil {
				return stopped(ctx, err)
			}
			frames += int64(n / channels)
			if o.Position != nil {
				o.Position(frames)
			}
		}
		if err == io.EOF {
			return stopped(ctx, device.drain(ctx))
		}
		if err != nil {
			return err
		}
		n, err = src.Read(block)
	}
}

// stopped prefers the reason of ctx to what came of it.
func stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	return nil
}

// open tries the ways of this platform in turn. A device named after a way, such
// as alsa:hw:0, is looked for there alone.
func open[T any](ctx context.Context, device, verb string, try func(w opener, device string) (T, error)) (T, error) {
	var none T
	var tried []string
	for _, w := range openers {
		name := device
		if i := strings.IndexByte(device, ':'); i > 0 && isWay(device[:i]) {
			if !strings.EqualFold(device[:i], w.name) {
				continue
			}
			name = device[i+1:]
		}
		d, err := try(w, name)
		if err == nil {
			return d, nil
		}
		if ctx.Err() != nil {
			return none, ctx.Err()
		}
		tried = append(tried, fmt.Sprintf("%s (%v)", w.name, err))
	}
	if len(tried) == 0 {
		tried = []string{"this program was built without a way to " + verb}
	}
	advice := "decode to a file and play that elsewhere"
	if verb == "record" {
		advice = "pipe sound in: " + pipeFrom
	}
	return none, fmt.Errorf("%w: %s: start a sound server, or %s", ErrNoDevice, strings.Join(tried, ", "), advice)
}

// isWay says whether a prefix names a way rather than being a part of a device's
// name.
func isWay(prefix string) bool {
	for _, w := range openers {
		if strings.EqualFold(prefix, w.name) {
			return true
		}
	}
	return false
}

// mix leaves the mean over channels in the first part of pcm.
func mix(pcm []float32, channels int) []float32 {
	n := len(pcm) / channels
	for i := range n {
		var sum float32
		for _, v := range pcm[i*channels : (i+1)*channels] {
			sum += v
		}
		pcm[i] = sum / float32(channels)
	}
	return pcm[:n]
}
