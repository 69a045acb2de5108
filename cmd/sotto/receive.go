package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/stream"
	"github.com/sotto-audio/sotto/stream/packet"
)

type receiveCmd struct {
	Address string `arg:"" optional:"" default:"127.0.0.1:5004" name:"host:port" help:"Where to listen: \":5004\" is every network that this machine is in. ${default} by default."`
	Out     string `arg:"" optional:"" help:"WAV file to write, \"-\" is standard output; the speakers by default."`
	decoderFlag
	playbackFlag
	computeFlag
	Delay   int  `default:"2000" placeholder:"MS" help:"Sound that the jitter buffer may hold at most. ${default} ms by default."`
	Timeout int  `default:"10" placeholder:"S" help:"End when nothing has come for so long, once something has; 0 waits for ever. ${default} s by default."`
	Force   bool `short:"f" help:"Replace an existing file."`
	JSON    bool `name:"json" help:"Print one JSON object at the end."`
}

// Help is shown by --help.
func (receiveCmd) Help() string {
	return `Plays what sotto send sends. Lost packets are repaired or concealed, the buffer
follows the network, and the speed the sender's clock.

Examples:
  sotto receive :5004
  sotto receive :5004 call.wav
  sotto receive :5004 - | aplay`
}

// Validate refuses values out of range.
func (c *receiveCmd) Validate() error {
	if _, port, err := net.SplitHostPort(c.Address); err != nil || port == "" {
		return fmt.Errorf("%s: give HOST:PORT or :PORT, such as :5004", c.Address)
	}
	if c.Delay < 100 || c.Delay > 60000 {
		return errors.New("--delay must be 100 to 60000 ms")
	}
	if c.Timeout < 0 {
		return errors.New("--timeout must not be negative")
	}
	return nil
}

// Run is called by kong.
func (c *receiveCmd) Run(s *session) error {
	s.endless()
	model, err := c.load()
	if err == nil {
		model, err = c.device().codec(s, model)
	}
	if err != nil {
		return err
	}
	rate := model.Info().SampleRate
	var out io.Writer = pipe{s.stdout}
	var file *output
	if c.Out != "" && c.Out != "-" {
		// Ctrl-C is how a recording ends: what was heard is kept.
		if file, err = create(context.Background(), c.Out, c.Force); err != nil {
			return err
		}
		defer file.discard()
		out = file
	}
	conn, err := net.ListenPacket("udp", c.Address)
	if err != nil {
		return err
	}
	l, err := packet.Listen(s.ctx, conn, model, packet.ReceiverOptions{MaxDelay: time.Duration(c.Delay) * time.Millisecond}, time.Duration(c.Timeout)*time.Second)
	if err != nil {
		return err
	}
	defer l.Close()
	if interactive(s.stderr) {
		fmt.Fprintf(s.stderr, "listening on %s\n", conn.LocalAddr())
	}
	shown := newStatus(s.stderr)
	src := &watched{l, func() {
		st, _ := l.Stats()
		if l.Active() {
			shown.show("%d packets, %d lost, %d frames repaired, %d concealed, buffer %.0f ms, drift %.0f ppm", st.Packets, st.Lost, st.Repaired, st.Concealed, st.BufferMS, st.DriftPPM)
		}
	}}
	if c.Out == "" {
		err = stream.PlayOn(s.ctx, src, rate, 1, c.options(liveLatency))
	} else {
		err = record(s, out, src, rate)
		if err == nil && file != nil {
			err = file.commit()
		}
	}
	shown.end()
	if s.ctx.Err() != nil {
		err = nil
	}
	stats, refused := l.Stats()
	if c.JSON {
		w := s.stdout
		if c.Out == "-" {
			w = s.stderr
		}
		line, _ := json.Marshal(stats)
		fmt.Fprintf(w, "%s\n", line)
	}
	if err == nil && refused != nil && stats.Packets == 0 {
		err = refused
	}
	return err
}

// watched tells about a source ten times a second.
type watched struct {
	stream.Source
	tell func()
}

func (w *watched) Read(dst []float32) (int, error) {
	n, err := w.Source.Read(dst)
	w.tell()
	return n, err
}

// record writes src to a WAV file as its samples happen, from the first sender on.
func record(s *session, out io.Writer, src *watched, rate int) error {
	w, err := audio.NewWAVWriter(out, audio.Format{SampleRate: rate, Channels: 1, Bits: 16})
	if err != nil {
		return err
	}
	paced := stream.Paced(s.ctx, src, rate)
	block := make([]float32, rate/100)
	l := src.Source.(*packet.Listener)
	for {
		n, err := paced.Read(block)
		if n > 0 && l.Active() {
			if err := w.Write(block[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF || s.ctx.Err() != nil {
			return w.Close()
		}
		if err != nil {
			return err
		}
	}
}
