package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sotto-audio/sotto/internal/transcode"
	"github.com/sotto-audio/sotto/stream/packet"
)

type sendCmd struct {
	Address string `arg:"" name:"host:port" help:"Where sotto receive listens."`
	File    string `arg:"" optional:"" help:"Audio file, sent at the speed of speech; \"-\" is standard input, sent as it comes. The microphone by default."`
	modelFlag
	captureFlag
	computeFlag
	Bitrate float64 `short:"b" placeholder:"KBPS" help:"Bitrate in kbit/s (see sotto models), at most; the highest by default."`
	Packet  int     `default:"20" placeholder:"MS" help:"Sound in a packet, in milliseconds: less is quicker, more costs fewer bytes. ${default} by default."`
	Repair  int     `default:"50" placeholder:"PERCENT" help:"Bits spent on repeating earlier frames in coarser form, as a share of the bits of the frames, 0 to 200: what is lost is mended by it. ${default} by default."`
	Fixed   bool    `help:"Keep the bitrate where packets are lost."`
	JSON    bool    `name:"json" help:"Print one JSON object at the end."`
	rawFlags
}

// Help is shown by --help.
func (sendCmd) Help() string {
	return `Sends RTP packets of token frames over UDP (stream/packet/FORMAT.md). They are
neither encrypted nor signed: use a tunnel where others listen.

Examples:
  sotto send 192.0.2.7:5004
  sotto send --bitrate 2 --repair 100 192.0.2.7:5004 talk.flac
  arecord -t raw -f S16_LE -r 16000 | sotto send --raw-rate 16000 192.0.2.7:5004 -`
}

// Validate refuses values out of range.
func (c *sendCmd) Validate() error {
	if _, port, err := net.SplitHostPort(c.Address); err != nil || port == "" {
		return fmt.Errorf("%s: give HOST:PORT, such as 192.0.2.7:5004", c.Address)
	}
	switch {
	case c.Packet < 1:
		return errors.New("--packet must be above 0")
	case c.Repair < 0 || c.Repair > 200:
		return errors.New("--repair must be 0 to 200 percent")
	}
	return nil
}

// Run is called by kong.
func (c *sendCmd) Run(s *session) error {
	s.endless()
	model, err := c.load()
	if err == nil {
		model, err = c.device().codec(s, model)
	}
	if err != nil {
		return err
	}
	info := model.Info()
	o := packet.SenderOptions{Repair: float64(c.Repair) / 100, Adaptive: !c.Fixed, Frames: max(1, c.Packet*info.SampleRate/(1000*info.HopLength))}
	if o.Codebooks, err = transcode.Codebooks(info, c.Bitrate); err != nil {
		return &usageError{fmt.Errorf("--bitrate %w", err)}
	}
	src, closeSource, err := c.source(s, c.File, c.rawFlags, info.SampleRate)
	if err != nil {
		return err
	}
	defer closeSource()
	shown := newStatus(s.stderr)
	stats, err := packet.Send(s.ctx, c.Address, model, src, o, func(st packet.SenderStats) {
		shown.show("sending %s, %.1f %% lost, round trip %v", kbps(transcode.TokenRate(info, st.Codebooks)), 100*st.Loss, st.RoundTrip.Round(time.Millisecond))
	})
	shown.end()
	if s.ctx.Err() != nil {
		err = nil
	}
	if c.JSON {
		line, _ := json.Marshal(stats)
		fmt.Fprintf(s.stdout, "%s\n", line)
	} else if interactive(s.stderr) {
		fmt.Fprintf(s.stderr, "%d packets, %s sent\n", stats.Packets, size(int64(stats.Bytes)))
	}
	return err
}
