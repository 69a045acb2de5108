package packet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/codec"
)

// reportEvery is the time between reports: more often than RFC 3550 asks for, since
// the bitrate follows them.
const reportEvery = time.Second

// Send encodes src, mono samples at the model's rate, and sends it to a UDP
// address as src gives it: a source that does not wait for its sound to happen,
// such as a file, must be paced. Status, which may be nil, is told about every
// packet.
func Send(ctx context.Context, address string, c codec.Codec, src Source, o SenderOptions, status func(SenderStats)) (SenderStats, error) {
	s, err := NewSender(c, o)
	if err != nil {
		return SenderStats{}, err
	}
	conn, err := net.Dial("udp", address)
	if err != nil {
		return SenderStats{}, fmt.Errorf("packet: %w", err)
	}
	var mu sync.Mutex // of s
	var reading sync.WaitGroup
	reading.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, err := conn.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				// Nobody listens there yet: the sound goes on.
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if isControl(buf[:n]) {
				mu.Lock()
				s.Feedback(time.Now(), buf[:n])
				mu.Unlock()
			}
		}
	})
	defer reading.Wait()
	defer conn.Close()
	emit := func(p []byte) error {
		// A refusal of an earlier packet shows here; it is not a reason to stop.
		conn.Write(p)
		return nil
	}
	block := make([]float32, max(1, c.Info().SampleRate/100))
	var reported time.Time
	for {
		if err := ctx.Err(); err != nil {
			mu.Lock()
			defer mu.Unlock()
			return s.Stats(), errors.Join(err, s.Flush(emit))
		}
		n, err := src.Read(block)
		mu.Lock()
		if n > 0 {
			if err := s.Push(block[:n], emit); err != nil {
				stats := s.Stats()
				mu.Unlock()
				return stats, err
			}
		}
		if now := time.Now(); now.Sub(reported) >= reportEvery {
			reported = now
			if report, err := s.Report(now); err == nil {
				conn.Write(report)
			}
		}
		stats := s.Stats()
		if err == io.EOF {
			err = s.Flush(emit)
			stats = s.Stats()
			mu.Unlock()
			return stats, err
		}
		mu.Unlock()
		if err != nil {
			return stats, err
		}
		if status != nil && n > 0 {
			status(stats)
		}
	}
}

// Source gives mono samples: n of them, and io.EOF at the end.
type Source interface {
	Read(dst []float32) (n int, err error)
}

// Listener is the receiving end on a UDP socket. It is a Source of sound: silence
// until a sender is heard, io.EOF after its goodbye, or when it has been silent for
// the timeout.
type Listener struct {
	conn    net.PacketConn
	start   time.Time
	timeout time.Duration
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu      sync.Mutex
	r       *Receiver
	from    net.Addr
	refused error // why packets were not taken, the newest
}

// Listen waits for a sender on conn, which the Listener owns; a timeout of 0 waits for
// ever.
func Listen(ctx context.Context, conn net.PacketConn, c codec.Codec, o ReceiverOptions, timeout time.Duration) (*Listener, error) {
	r, err := NewReceiver(c, o)
	if err != nil {
		return nil, err
	}
	l := &Listener{conn: conn, start: time.Now(), timeout: timeout, r: r}
	ctx, l.stop = context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { conn.Close() })
	l.done.Go(l.listen)
	l.done.Go(func() { l.report(ctx) })
	return l, nil
}

// listen takes packets.
func (l *Listener) listen() {
	buf := make([]byte, 2048)
	for {
		n, from, err := l.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		l.mu.Lock()
		err = l.r.Packet(time.Since(l.start), buf[:n])
		if err != nil {
			l.refused = err
		} else if !isControl(buf[:n]) {
			l.from = from
		}
		l.mu.Unlock()
	}
}

// report tells the sender how it is heard.
func (l *Listener) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		report, err := l.r.Report(time.Since(l.start))
		to := l.from
		l.mu.Unlock()
		if err == nil && report != nil && to != nil {
			l.conn.WriteTo(report, to)
		}
	}
}

// Read gives what is to be heard from now on; it never waits.
func (l *Listener) Read(dst []float32) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.start)
	if l.r.Done() {
		return 0, io.EOF
	}
	if quiet, ok := l.r.Heard(now); ok && l.timeout > 0 && quiet > l.timeout {
		return 0, io.EOF
	}
	if err := l.r.Read(now, dst); err != nil {
		return 0, err
	}
	return len(dst), nil
}

// Stats says how the stream fares, and why packets were refused, if any were.
func (l *Listener) Stats() (Stats, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Stats(), l.refused
}

// Active says whether a sender has been heard.
func (l *Listener) Active() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.r.Heard(0)
	return ok
}

// Close ends listening and closes the socket.
func (l *Listener) Close() error {
	l.stop()
	l.done.Wait()
	return nil
}
