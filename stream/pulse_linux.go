package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"github.com/jfreymuth/pulse/proto"
)

// pulseWait bounds every request to the server.
const pulseWait = 5 * time.Second

// pulseHeld bounds what a microphone keeps for a slow reader, in seconds.
const pulseHeld = 2

var pulse = opener{"PulseAudio", openPulse, recordPulse, devicesPulse}

var errPulseGone = errors.New("the sound server closed the connection")

// dialPulse connects to the server of this session, within the limits of ctx, and
// runs start there.
func dialPulse[T any](ctx context.Context, start func(c *proto.Client, conn net.Conn) (T, error), drop func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		client, conn, err := proto.Connect("")
		if err != nil {
			done <- result{err: err}
			return
		}
		client.SetTimeout(pulseWait)
		// Its Callback is called by a goroutine of the client, and must be there.
		client.Callback = func(any) {}
		err = client.Request(&proto.SetClientName{Props: proto.PropList{
			"application.name": proto.PropListString("sotto"),
		}}, &proto.SetClientNameReply{})
		if err != nil {
			conn.Close()
			done <- result{err: fmt.Errorf("greeting the sound server: %w", err)}
			return
		}
		value, err := start(client, conn)
		if err != nil {
			conn.Close()
		}
		done <- result{value, err}
	}()
	var none T
	// Dialling a server elsewhere has no limit of its own.
	later := func() {
		go func() {
			if r := <-done; r.err == nil {
				drop(r.value)
			}
		}()
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(2 * pulseWait):
		later()
		return none, errors.New("the sound server does not answer")
	case <-ctx.Done():
		later()
		return none, ctx.Err()
	}
}

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

	mu   sync.Mutex
	last bool // the end is being played: running dry is no underrun
}

func openPulse(ctx context.Context, rate, channels int, o PlayOptions) (sink, error) {
	return dialPulse(ctx, func(client *proto.Client, conn net.Conn) (sink, error) {
		return playPulse(client, conn, rate, channels, o)
	}, sink.close)
}

func playPulse(client *proto.Client, conn net.Conn, rate, channels int, o PlayOptions) (sink, error) {
	s := &pulseSink{client: client, conn: conn, grants: make(chan int, 1024), gone: make(chan struct{})}
	ended := false
	client.Callback = func(message any) {
		switch m := message.(type) {
		case *proto.Request:
			select {
			case s.grants <- int(m.Length):
			default: // nobody has written for long: the next underflow grants again
			}
		case *proto.Underflow:
			s.mu.Lock()
			last := s.last
			s.mu.Unlock()
			if !last && o.Underrun != nil {
				o.Underrun()
			}
		case *proto.ConnectionClosed, *proto.PlaybackStreamKilled:
			if !ended {
				ended = true
				close(s.gone)
			}
		}
	}
	places := proto.ChannelMap{proto.ChannelMono}
	if channels == 2 {
		places = proto.ChannelMap{proto.ChannelLeft, proto.ChannelRight}
	}
	length := uint32(o.Latency.Seconds()*float64(rate)) * uint32(4*channels)
	var reply proto.CreatePlaybackStreamReply
	err := client.Request(&proto.CreatePlaybackStream{
		SampleSpec:     proto.SampleSpec{Format: proto.FormatFloat32LE, Channels: byte(channels), Rate: uint32(rate)},
		ChannelMap:     places,
		SinkIndex:      proto.Undefined,
		SinkName:       o.Device,
		ChannelVolumes: unchanged(channels),
		// More prebuffering would keep a short sound from ever starting; without
		// any, the server never says that it has played the end.
		BufferMaxLength: 4 * length, BufferTargetLength: length, BufferPrebufferLength: uint32(4 * channels),
		BufferMinimumRequest: proto.Undefined, AdjustLatency: true,
		Properties: proto.PropList{"media.name": proto.PropListString("sotto"), "media.role": proto.PropListString("music")},
	}, &reply)
	if err != nil {
		return nil, pulseError(err, "playback", o.Device)
	}
	s.stream, s.credit = reply.StreamIndex, int(reply.Missing)
	return s, nil
}

// unchanged volumes leave the sound as it is.
func unchanged(channels int) proto.ChannelVolumes {
	v := make(proto.ChannelVolumes, channels)
	for i := range v {
		v[i] = 0x10000
	}
	return v
}

func pulseError(err error, what, device string) error {
	if device != "" && errors.Is(err, proto.ErrNoSuchEntity) {
		return fmt.Errorf("there is no device %s: sotto info --devices lists them", device)
	}
	return fmt.Errorf("opening a stream for %s: %w", what, err)
}

func (s *pulseSink) write(ctx context.Context, block []float32) error {
	s.buf = s.buf[:0]
	for _, v := range block {
		s.buf = binary.LittleEndian.AppendUint32(s.buf, math.Float32bits(v))
	}
	stalls := 0 // the first may be that this process was stopped
	for s.credit < len(s.buf) {
		select {
		case n := <-s.grants:
			s.credit += n
			stalls = 0
		case <-s.gone:
			return errPulseGone
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pulseWait):
			if stalls++; stalls > 2 {
				return errors.New("the sound device takes nothing more: is it suspended?")
			}
		}
	}
	s.credit -= len(s.buf)
	return s.client.Send(s.stream, s.buf)
}

func (s *pulseSink) drain(ctx context.Context) error {
	s.mu.Lock()
	s.last = true
	s.mu.Unlock()
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

// pulseCapture records through the same protocol. What the server sends waits in
// a bounded buffer.
type pulseCapture struct {
	conn  net.Conn
	ready chan struct{} // 1: something has changed

	mu   sync.Mutex
	held []float32
	most int
	lost int
	gone bool
}

func recordPulse(ctx context.Context, o RecordOptions) (capture, error) {
	return dialPulse(ctx, func(client *proto.Client, conn net.Conn) (capture, error) {
		c := &pulseCapture{conn: conn, ready: make(chan struct{}, 1), most: pulseHeld * o.Rate}
		client.Callback = c.take
		err := client.Request(&proto.CreateRecordStream{
			SampleSpec:      proto.SampleSpec{Format: proto.FormatFloat32LE, Channels: 1, Rate: uint32(o.Rate)},
			ChannelMap:      proto.ChannelMap{proto.ChannelMono},
			SourceIndex:     proto.Undefined,
			SourceName:      o.Device,
			BufferMaxLength: uint32(4 * pulseHeld * o.Rate),
			BufferFragSize:  4 * uint32(max(1, o.Latency.Seconds()*float64(o.Rate))),
			AdjustLatency:   true,
			ChannelVolumes:  unchanged(1), DirectOnInputIndex: proto.Undefined,
			Properties: proto.PropList{"media.name": proto.PropListString("sotto")},
		}, &proto.CreateRecordStreamReply{})
		if err != nil {
			return nil, pulseError(err, "recording", o.Device)
		}
		return c, nil
	}, capture.close)
}

// take is called by the client.
func (c *pulseCapture) take(message any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := message.(type) {
	case *proto.DataPacket:
		for b := m.Data; len(b) >= 4; b = b[4:] {
			c.held = append(c.held, math.Float32frombits(binary.LittleEndian.Uint32(b)))
		}
		if drop := len(c.held) - c.most; drop > 0 {
			c.lost++
			c.held = c.held[:copy(c.held, c.held[drop:])]
		}
	case *proto.Overflow:
		c.lost++
	case *proto.ConnectionClosed, *proto.RecordStreamKilled:
		c.gone = true
	default:
		return
	}
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *pulseCapture) read(ctx context.Context, dst []float32) (int, error) {
	stalls := 0 // the first may be that this process was stopped
	for {
		c.mu.Lock()
		n := copy(dst, c.held)
		c.held = c.held[:copy(c.held, c.held[n:])]
		gone := c.gone
		c.mu.Unlock()
		switch {
		case n > 0 || len(dst) == 0:
			return n, nil
		case gone:
			return 0, errPulseGone
		}
		select {
		case <-c.ready:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(pulseWait):
			if stalls++; stalls > 2 {
				return 0, errors.New("the microphone gives nothing: is it suspended?")
			}
		}
	}
}

func (c *pulseCapture) overruns() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

func (c *pulseCapture) close() { c.conn.Close() }

func devicesPulse(ctx context.Context) ([]Device, error) {
	return dialPulse(ctx, func(client *proto.Client, conn net.Conn) ([]Device, error) {
		defer conn.Close()
		var server proto.GetServerInfoReply
		var sources proto.GetSourceInfoListReply
		var sinks proto.GetSinkInfoListReply
		err := errors.Join(
			client.Request(&proto.GetServerInfo{}, &server),
			client.Request(&proto.GetSourceInfoList{}, &sources),
			client.Request(&proto.GetSinkInfoList{}, &sinks),
		)
		if err != nil {
			return nil, err
		}
		var all []Device
		for _, s := range sources {
			all = append(all, Device{Name: s.SourceName, Description: s.Device, Way: "PulseAudio", Input: true, Default: s.SourceName == server.DefaultSourceName})
		}
		for _, s := range sinks {
			all = append(all, Device{Name: s.SinkName, Description: s.Device, Way: "PulseAudio", Output: true, Default: s.SinkName == server.DefaultSinkName})
		}
		return all, nil
	}, func([]Device) {})
}
