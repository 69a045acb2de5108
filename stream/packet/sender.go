package packet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/sotto-audio/sotto/codec"
)

// SenderOptions choose what a Sender sends. The zero value is all codebooks, one
// frame a packet, no repairs and a fixed bitrate.
type SenderOptions struct {
	Codebooks int     // of a frame, at most; 0 means all
	Frames    int     // token frames a packet; 0 means 1
	Repair    float64 // bits for repairs over bits of frames, 0 to 2
	Adaptive  bool    // drop residual levels while packets are lost
}

// repairs are the distances, in packets, at which a packet repeats earlier ones:
// the first is for single losses, the second for bursts.
var repairs = [...]int{1, 3}

// SenderStats is what a Sender has done and been told.
type SenderStats struct {
	Packets   int           `json:"packets"`
	Bytes     int           `json:"bytes"`     // with RTP headers, without UDP and IP
	Codebooks int           `json:"codebooks"` // of the newest frame
	Loss      float64       `json:"loss"`      // fraction, smoothed over the receiver's reports
	RoundTrip time.Duration `json:"round_trip_ns"`
	Reports   int           `json:"reports"`
}

// Sender turns samples into packets. It is not safe for concurrent use.
type Sender struct {
	wire
	o        SenderOptions
	encoder  codec.Encoder
	steps    []int // codebooks to choose from, ascending
	header   rtp.Header
	codes    []int32 // not yet sent
	frame    int64   // of codes[0]
	history  [][]int32
	rotation int
	stats    SenderStats
}

// NewSender starts a stream.
func NewSender(c codec.Codec, o SenderOptions) (*Sender, error) {
	info := c.Info()
	if o.Codebooks == 0 {
		o.Codebooks = info.Codebooks()
	}
	if o.Frames == 0 {
		o.Frames = 1
	}
	if o.Repair < 0 || o.Repair > 2 || math.IsNaN(o.Repair) {
		return nil, fmt.Errorf("packet: repairs of %v times the bits of the frames: give 0 to 2", o.Repair)
	}
	if o.Frames < 1 || o.Frames > maxFrames || o.Frames*repairs[len(repairs)-1] > 255 {
		return nil, fmt.Errorf("packet: %d frames a packet: give 1 to %d", o.Frames, min(maxFrames, 255/repairs[len(repairs)-1]))
	}
	e, err := c.NewEncoder(o.Codebooks)
	if err != nil {
		return nil, err
	}
	s := &Sender{wire: wire{info}, o: o, encoder: e, history: make([][]int32, repairs[len(repairs)-1])}
	for _, n := range info.Levels {
		if n <= o.Codebooks {
			s.steps = append(s.steps, n)
		}
	}
	if most := payloadHeader + 3*(blockHeader+codec.PackedBytes(o.Frames, info.CodebookSizes[:o.Codebooks])); most > maxPayload {
		return nil, fmt.Errorf("packet: %d frames a packet do not fit one datagram: give fewer", o.Frames)
	}
	s.header = rtp.Header{
		Version: 2, PayloadType: payloadType, Marker: true, SSRC: rand.Uint32(),
		SequenceNumber: uint16(rand.Uint32()), Timestamp: rand.Uint32(),
	}
	s.stats.Codebooks = o.Codebooks
	return s, nil
}

// Stats says what has been sent.
func (s *Sender) Stats() SenderStats { return s.stats }

// Push takes samples at the model's rate and gives every packet that they
// complete to send.
func (s *Sender) Push(pcm []float32, send func(packet []byte) error) error {
	var err error
	if s.codes, err = s.encoder.Encode(s.codes, pcm); err != nil {
		return err
	}
	return s.send(s.o.Frames, send)
}

// Flush ends the stream: what is left, and a goodbye.
func (s *Sender) Flush(send func(packet []byte) error) error {
	var err error
	if s.codes, err = s.encoder.Flush(s.codes); err != nil {
		return err
	}
	if err := s.send(1, send); err != nil {
		return err
	}
	bye, err := rtcp.Marshal([]rtcp.Packet{&rtcp.Goodbye{Sources: []uint32{s.header.SSRC}, Reason: "end"}})
	if err != nil {
		return err
	}
	for range 3 { // any of them does
		if err := send(bye); err != nil {
			return err
		}
	}
	return nil
}

// send sends while at least that many frames wait.
func (s *Sender) send(least int, send func([]byte) error) error {
	width := s.o.Codebooks
	for len(s.codes) >= least*width {
		n := min(len(s.codes), s.o.Frames*width)
		packet, err := s.next(s.codes[:n])
		if err != nil {
			return err
		}
		s.codes = s.codes[:copy(s.codes, s.codes[n:])]
		s.stats.Packets++
		s.stats.Bytes += len(packet)
		if err := send(packet); err != nil {
			return err
		}
	}
	return nil
}

// next makes the packet of the frames with all their codebooks.
func (s *Sender) next(codes []int32) ([]byte, error) {
	books := s.stats.Codebooks
	if s.o.Adaptive {
		books = s.follow()
	}
	s.stats.Codebooks = books
	blocks := []block{{s.frame, books, thin(codes, s.o.Codebooks, books)}}
	for i, n := range s.split(books) {
		old := s.history[(s.rotation+len(s.history)-repairs[i])%len(s.history)]
		if n > 0 && old != nil {
			first := s.frame - int64(repairs[i]*s.o.Frames)
			blocks = append(blocks, block{first, n, thin(old, s.o.Codebooks, n)})
		}
	}
	s.history[s.rotation] = append(s.history[s.rotation][:0], codes...)
	s.rotation = (s.rotation + 1) % len(s.history)
	s.frame += int64(len(codes) / s.o.Codebooks)
	payload, err := s.appendPayload(nil, blocks)
	if err != nil {
		return nil, err
	}
	p := rtp.Packet{Header: s.header, Payload: payload}
	s.header.Marker = false
	s.header.SequenceNumber++
	s.header.Timestamp += uint32(len(codes) / s.o.Codebooks * s.info.HopLength)
	return p.Marshal()
}

// split shares the bits for repairs out: codebooks at each distance, steps of the
// model. A little buys one repair, more buys two.
func (s *Sender) split(books int) [len(repairs)]int {
	budget := int(math.Round(s.o.Repair * float64(books)))
	var parts [len(repairs)]int
	if budget > books/2 {
		parts[0] = s.step((budget+1)/2, books)
		parts[1] = s.step(budget-parts[0], books)
		return parts
	}
	parts[0] = s.step(budget, books)
	return parts
}

// step is the largest step of at most n codebooks and no more than most; 0 where
// there is none.
func (s *Sender) step(n, most int) int {
	best := 0
	for _, b := range s.steps {
		if b <= n && b <= most {
			best = b
		}
	}
	return best
}

// follow chooses the bitrate: at a loss of p, 1 − 2p of the codebooks, and never
// less than a quarter of them.
func (s *Sender) follow() int {
	share := max(0.25, 1-2*s.stats.Loss)
	return max(s.steps[0], s.step(int(math.Round(share*float64(s.o.Codebooks))), s.o.Codebooks))
}

// thin keeps the first n of width codes of each frame.
func thin(codes []int32, width, n int) []int32 {
	out := make([]int32, 0, len(codes)/width*n)
	for ; len(codes) > 0; codes = codes[width:] {
		out = append(out, codes[:n]...)
	}
	return out
}

// Report makes the RTCP sender report of this moment; it ties the time stamps to
// the clock and lets the round trip be measured.
func (s *Sender) Report(now time.Time) ([]byte, error) {
	return rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{
		SSRC: s.header.SSRC, NTPTime: ntp(now), RTPTime: s.header.Timestamp,
		PacketCount: uint32(s.stats.Packets), OctetCount: uint32(s.stats.Bytes),
	}})
}

// Feedback takes a control packet of the receiver.
func (s *Sender) Feedback(now time.Time, data []byte) error {
	packets, err := rtcp.Unmarshal(data)
	if err != nil {
		return fmt.Errorf("packet: %w", err)
	}
	for _, p := range packets {
		r, ok := p.(*rtcp.ReceiverReport)
		if !ok {
			continue
		}
		for _, b := range r.Reports {
			if b.SSRC != s.header.SSRC {
				continue
			}
			s.stats.Reports++
			s.stats.Loss += 0.2 * (float64(b.FractionLost)/256 - s.stats.Loss)
			if b.LastSenderReport != 0 {
				// All in units of 2⁻¹⁶ s (RFC 3550, section 6.4.1).
				trip := int32(uint32(ntp(now)>>16) - b.LastSenderReport - b.Delay)
				s.stats.RoundTrip = time.Duration(max(trip, 0)) * time.Second >> 16
			}
		}
	}
	return nil
}

// ntp is a time in seconds since 1900, in units of 2⁻³² s.
func ntp(t time.Time) uint64 {
	const offset = 2208988800 // seconds from 1900 to 1970
	return uint64(t.Unix()+offset)<<32 | uint64(t.Nanosecond())<<32/1e9
}
