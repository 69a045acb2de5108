package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/stream"
)

// liveLatency is how much sound the speakers hold in a conversation.
const liveLatency = 30 * time.Millisecond

// playbackFlag chooses loudspeakers.
type playbackFlag struct {
	Device string `short:"d" placeholder:"NAME" help:"Loudspeaker (see sotto info --devices); the system's default otherwise."`
}

func (f playbackFlag) options(latency time.Duration) stream.PlayOptions {
	return stream.PlayOptions{Device: f.Device, Latency: latency}
}

// captureFlag chooses a microphone.
type captureFlag struct {
	Device string `short:"d" placeholder:"NAME" help:"Microphone (see sotto info --devices); the system's default otherwise."`
}

// source opens a file, standard input or the microphone as mono sound at rate; a
// file at the speed of speech.
func (f captureFlag) source(s *session, path string, raw rawFlags, rate int) (stream.Source, func(), error) {
	if path == "" {
		mic, err := stream.Record(s.ctx, stream.RecordOptions{Device: f.Device, Rate: rate})
		if err != nil {
			return nil, nil, err
		}
		return mic, func() { mic.Close() }, nil
	}
	in, err := raw.open(s, path)
	if err != nil {
		return nil, nil, err
	}
	src := stream.Source(audio.NewMonoReader(in, rate))
	if path != "-" {
		src = stream.Paced(s.ctx, src, rate)
	}
	return src, func() { in.Close() }, nil
}

// status is one line about a live stream that replaces itself, on a terminal only.
type status struct {
	w    io.Writer
	mu   sync.Mutex
	last time.Time
}

func newStatus(w io.Writer) *status {
	if !interactive(w) {
		w = nil
	}
	return &status{w: w}
}

// show replaces the line, a few times a second.
func (s *status) show(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil || time.Since(s.last) < 200*time.Millisecond {
		return
	}
	s.last = time.Now()
	fmt.Fprintf(s.w, "\r\x1b[K"+format, args...)
}

// end clears the line.
func (s *status) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w != nil && !s.last.IsZero() {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}
