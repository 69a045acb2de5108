package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/jfreymuth/pulse/proto"
)

// pulseBuffer is how much sound a PulseAudio or PipeWire server holds.
const pulseBuffer = 0.25 // seconds

// pulseWait bounds every request to the server.
const pulseWait = 5 * time.Second

var pulse = opener{"PulseAudio", openPulse}

var errPulseGone = errors.New("the sound server closed the connection")

// pulseSink plays through the native protocol of PulseAudio, which PipeWire
// speaks as well. The server grants bytes; write spends them.
type pulseSink struct {
	client *proto.Client
	conn   net.Conn
	stream uint32
	grants chan int      // bytes, from the server
	gone   chan struct{} // closed when the stream ends without our doing
	credit int           // bytes granted and not yet spent
	buf    []byte
}

// openPulse connects to the server of this session.
func openPulse(ctx context.Context, rate, channels int) (sink, error) {
	type result struct {
		sink *pulseSink
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		s, err := connectPulse(rate, channels)
		opened <- result{s, err}
	}()
	// Dialling a server elsewhere has no limit of its own.
	drop := func() {
		go func() {
			if r := <-opened; r.err == nil {
				r.sink.close()
			}
		}()
	}
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, r.err
		}
		return r.sink, nil
	case <-time.After(2 * pulseWait):
		drop()
		return nil, errors.New("the sound server does not answer")
	case <-ctx.Done():
		drop()
		return nil, ctx.Err()
	}
}

func connectPulse(rate, channels int) (*pulseSink, error) {
	client, conn, err := proto.Connect("")
	if err != nil {
		return nil, err
	}
	s := &pulseSink{client: client, conn: conn, grants: make(chan int, 1024), gone: make(chan struct{})}
	// One goroutine of the client calls this.
	ended := false
	client.Callback = func(message any) {
		switch m := message.(type) {
		case *proto.Request:
			select {
			case s.grants <- int(m.Length):
			default: // nobody has written for long: the next underflow grants again
			}
		case *proto.ConnectionClosed, *proto.PlaybackStreamKilled:
			if !ended {
				ended = true
				close(s.gone)
			}
		}
	}
	client.SetTimeout(pulseWait)
	err = client.Request(&proto.SetClientName{Props: proto.PropList{
		"application.name": proto.PropListString("sotto"),
		"media.role":       proto.PropListString("music"),
	}}, &proto.SetClientNameReply{})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("greeting the sound server: %w", err)
	}
	places := proto.ChannelMap{proto.ChannelMono}
	if channels == 2 {
		places = proto.ChannelMap{proto.ChannelLeft, proto.ChannelRight}
	}
	volumes := make(proto.ChannelVolumes, channels)
	for i := range volumes {
		volumes[i] = 0x10000 // unchanged
	}
	length := uint32(pulseBuffer*float64(rate)) * uint32(4*channels)
	var reply proto.CreatePlaybackStreamReply
	err = client.Request(&proto.CreatePlaybackStream{
		SampleSpec:     proto.SampleSpec{Format: proto.FormatFloat32LE, Channels: byte(channels), Rate: uint32(rate)},
		ChannelMap:     places,
		SinkIndex:      proto.Undefined,
		ChannelVolumes: volumes,
		// More prebuffering would keep a short sound from ever starting; without
		// any, the server never says that it has played the end.
		BufferMaxLength: 4 * length, BufferTargetLength: length, BufferPrebufferLength: uint32(4 * channels),
		BufferMinimumRequest: proto.Undefined, AdjustLatency: true,
		Properties: proto.PropList{"media.name": proto.PropListString("sotto")},
	}, &reply)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	s.stream, s.credit = reply.StreamIndex, int(reply.Missing)
	return s, nil
}

func (s *pulseSink) write(ctx context.Context, block []float32) error {
	s.buf = s.buf[:0]
	for _, v := range block {
		b := math.Float32bits(v)
		s.buf = append(s.buf, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
	}
	for s.credit < len(s.buf) {
		select {
		case n := <-s.grants:
			s.credit += n
		case <-s.gone:
			return errPulseGone
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * pulseWait):
			return errors.New("the sound device takes nothing more: is it suspended?")
		}
	}
	s.credit -= len(s.buf)
	return s.client.Send(s.stream, s.buf)
}

func (s *pulseSink) drain(ctx context.Context) error {
	drained := make(chan error, 1)
	go func() { drained <- s.client.Request(&proto.DrainPlaybackStream{StreamIndex: s.stream}, nil) }()
	select {
	case err := <-drained:
		return err
	case <-s.gone:
		return errPulseGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *pulseSink) close() { s.conn.Close() }
