// Package stream moves sound in real time: today, to the speakers.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrNoDevice says that nothing here can play sound; errors that wrap it say
// what was tried.
var ErrNoDevice = errors.New("no sound device")

// Source gives interleaved samples in [-1, 1]: n of them, a multiple of the
// number of channels, and io.EOF at the end.
type Source interface {
	Read(dst []float32) (n int, err error)
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

// opener knows one way to the speakers.
type opener struct {
	name string
	open func(ctx context.Context, rate, channels int) (sink, error)
}

// Play plays src, sampled at rate Hz, to its end on the default device and
// returns when the last sample has been heard. More than two channels are mixed
// to one. Position, which may be nil, is told how many frames the device has
// taken. Without a device the error wraps ErrNoDevice.
func Play(ctx context.Context, src Source, rate, channels int, position func(frames int64)) error {
	if rate < 1 || channels < 1 {
		return fmt.Errorf("stream: %d channels at %d Hz cannot be played", channels, rate)
	}
	// 20 ms keep the position smooth and a stop prompt.
	block := make([]float32, max(1, rate/50)*channels)
	n, err := src.Read(block)
	if n == 0 && err == io.EOF {
		return nil
	}
	out := channels
	if out > 2 {
		out = 1
	}
	device, openErr := openDevice(ctx, rate, out)
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
			if position != nil {
				position(frames)
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

// openDevice tries the ways of this platform in turn.
func openDevice(ctx context.Context, rate, channels int) (sink, error) {
	var tried []string
	for _, o := range openers {
		s, err := o.open(ctx, rate, channels)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		tried = append(tried, fmt.Sprintf("%s (%v)", o.name, err))
	}
	if len(tried) == 0 {
		tried = []string{"this program was built without playback"}
	}
	return nil, fmt.Errorf("%w: %s: start a sound server, or decode to a file and play that elsewhere", ErrNoDevice, strings.Join(tried, ", "))
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
