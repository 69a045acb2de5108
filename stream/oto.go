//go:build darwin || windows || (linux && oto && !static)

package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/ebitengine/oto/v3"
)

var otoDevice = opener{name: "oto", open: openOto}

// otoContexts holds the one context that oto allows a program.
var otoContexts struct {
	sync.Mutex
	context        *oto.Context
	rate, channels int
}

// otoSink feeds a player through a pipe.
type otoSink struct {
	context *oto.Context
	player  *oto.Player
	w       *io.PipeWriter
	r       *io.PipeReader
	buf     []byte
}

func openOto(ctx context.Context, rate, channels int, o PlayOptions) (sink, error) {
	if o.Device != "" {
		return nil, errors.New("plays on the system's default device only: leave --device out")
	}
	otoContexts.Lock()
	defer otoContexts.Unlock()
	c := &otoContexts
	if c.context == nil {
		device, ready, err := oto.NewContext(&oto.NewContextOptions{SampleRate: rate, ChannelCount: channels, Format: oto.FormatFloat32LE})
		if err != nil {
			return nil, err
		}
		select {
		case <-ready:
		case <-time.After(10 * time.Second):
			return nil, errors.New("the sound device does not answer")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		c.context, c.rate, c.channels = device, rate, channels
	}
	// Without a device, only Err says so.
	if err := c.context.Err(); err != nil {
		return nil, err
	}
	if c.rate != rate || c.channels != channels {
		return nil, fmt.Errorf("this program plays %d channels at %d Hz already, and can play nothing else until it ends", c.channels, c.rate)
	}
	s := &otoSink{context: c.context}
	s.r, s.w = io.Pipe()
	s.player = s.context.NewPlayer(s.r)
	s.player.SetBufferSize(int(o.Latency.Seconds()*float64(rate)) * channels * 4)
	// Play fills the buffer first: the pipe must be fed meanwhile.
	go s.player.Play()
	return s, nil
}

func (s *otoSink) write(ctx context.Context, block []float32) error {
	s.buf = s.buf[:0]
	for _, v := range block {
		b := math.Float32bits(v)
		s.buf = append(s.buf, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
	}
	written := make(chan error, 1)
	go func() {
		_, err := s.w.Write(s.buf)
		written <- err
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-written:
			return err
		case <-ctx.Done():
			s.r.CloseWithError(ctx.Err())
			<-written
			return ctx.Err()
		case <-tick.C:
			if err := s.context.Err(); err != nil {
				s.r.CloseWithError(err)
				<-written
				return err
			}
		}
	}
}

func (s *otoSink) drain(ctx context.Context) error {
	s.w.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.player.IsPlaying() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := errors.Join(s.context.Err(), s.player.Err()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *otoSink) close() {
	s.player.Pause()
	s.r.Close()
}
