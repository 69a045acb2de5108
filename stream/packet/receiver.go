package packet

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/pion/rtcp"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

// ReceiverOptions choose how a Receiver buffers. The zero value is ready to use.
type ReceiverOptions struct {
	// Margin is how much earlier than needed frames are to come; 0 means 5 ms.
	Margin time.Duration
	// MaxDelay bounds what the jitter buffer may hold; 0 means 2 s.
	MaxDelay time.Duration
}

// Stats says how a stream fares. Frames are token frames.
type Stats struct {
	Packets    int     `json:"packets"`    // that were taken
	Lost       int     `json:"lost"`       // packets that never came, by their numbers
	Duplicates int     `json:"duplicates"` // packets that came again
	Refused    int     `json:"refused"`    // packets that are not of this stream, or damaged
	Played     int     `json:"played"`     // frames decoded from their own packet
	Repaired   int     `json:"repaired"`   // frames decoded from a repair
	Concealed  int     `json:"concealed"`  // frames that were guessed
	Late       int     `json:"late"`       // frames that came after they were needed
	Stretched  int     `json:"stretched"`  // guessed frames that made the buffer longer
	Skipped    int     `json:"skipped"`    // frames dropped to shrink the buffer
	Bits       int64   `json:"bits"`       // of the frames in the packets, without repairs
	JitterMS   float64 `json:"jitter_ms"`  // spread of the arrivals in the last 10 s
	BufferMS   float64 `json:"buffer_ms"`  // sound that waits, decoded or not
	DriftPPM   float64 `json:"drift_ppm"`  // by which the sender's clock is faster than the playback's
}

const (
	correction    = 20.0  // seconds in which the buffer's error is played away
	maxCorrection = 0.005 // of the speed
	tooDeep       = 0.2   // seconds of buffer beyond need that are skipped, not played away
	silence       = 2     // seconds without packets after which another sender is taken
	maxDrift      = 0.001 // that clocks are believed to have
	smoothing     = 1.0   // seconds over which the buffer is averaged
	leap          = 512   // frames of a jump that two packets must agree on
)

// noBase is the base before the first packet; a stream's may lie below 0.
const noBase = math.MinInt64

// received is a frame that waits to be played.
type received struct {
	codes     []int32
	codebooks int
	repair    bool
}

// Receiver turns packets into sound. It is not safe for concurrent use.
type Receiver struct {
	wire
	o       ReceiverOptions
	decoder codec.Decoder
	scaled  int // codebooks that the decoder expects
	ssrc    uint32
	ours    uint32 // SSRC of the reports
	hop     float64

	active  bool    // a stream is there
	heard   float64 // when its newest packet came
	ended   bool    // it said goodbye
	stamps  clock
	numbers clock
	base    int64       // time stamp of frame 0
	seen    [1024]int64 // numbers of packets, plus 1
	count   struct{ first, received, expectedPrior, receivedPrior int64 }
	jump    int64 // where a packet far ahead wanted to be
	report  struct {
		middle uint32 // of the sender report's NTP time
		at     float64
	}
	jitter, transit float64 // RFC 3550, section 6.4.1, in time stamp units

	frames  map[int64]received
	newest  int64
	playing bool
	begin   float64 // arrival of the first frame
	cursor  int64   // next frame to decode
	guessed int64   // frames concealed since the buffer ran empty
	flushed bool
	offset  float64 // smoothed: when the cursor's frame is decoded, less its time in the stream
	looked  float64
	delays  delays
	drift   *audio.Drift
	sender  trend   // of the transit
	reader  trend   // of the sound read, less the time
	read    float64 // seconds of sound
	block   float64 // seconds of the longest recent Read
	pcm     []float32
	queue   []float32 // resampled, not yet read
	stats   Stats
}

// NewReceiver waits for a stream of the model.
func NewReceiver(c codec.Codec, o ReceiverOptions) (*Receiver, error) {
	if o.Margin == 0 {
		o.Margin = 5 * time.Millisecond
	}
	if o.MaxDelay == 0 {
		o.MaxDelay = 2 * time.Second
	}
	if o.Margin < 0 || o.MaxDelay < 100*time.Millisecond || o.MaxDelay > time.Minute {
		return nil, fmt.Errorf("packet: a margin of %v in a buffer of %v: the buffer must hold 100 ms to 1 min", o.Margin, o.MaxDelay)
	}
	info := c.Info()
	d, err := c.NewDecoder(0)
	if err != nil {
		return nil, err
	}
	r := &Receiver{
		wire: wire{info}, o: o, decoder: d, scaled: info.Codebooks(), ours: rand.Uint32(),
		hop: float64(info.HopLength) / float64(info.SampleRate),
	}
	if _, ok := d.(codec.Scalable); !ok && len(info.Levels) > 1 {
		return nil, fmt.Errorf("packet: %s cannot change its bitrate in a stream", info.Name)
	}
	return r, nil
}

// restart begins a stream whose first packet has the given header values.
func (r *Receiver) restart(ssrc uint32) {
	r.ssrc, r.active, r.ended, r.playing = ssrc, true, false, false
	r.stamps, r.numbers, r.delays = clock{}, clock{}, delays{}
	r.frames, r.seen = map[int64]received{}, [1024]int64{}
	r.count.first, r.count.received, r.count.expectedPrior, r.count.receivedPrior = -1, 0, 0, 0
	r.cursor, r.newest, r.jump, r.base = 0, -1, 0, noBase
	r.guessed, r.flushed = 0, false
	r.jitter, r.transit, r.report.middle = 0, 0, 0
	r.sender, r.reader, r.read, r.block = trend{}, trend{}, 0, 0
	r.drift = audio.NewDrift()
	r.queue = r.queue[:0]
	r.decoder.Reset()
}

// Packet takes a datagram that has arrived at now, on a clock that never steps.
// An error says why it was not taken; the stream goes on.
func (r *Receiver) Packet(now time.Duration, data []byte) error {
	at := now.Seconds()
	if isControl(data) {
		return r.control(at, data)
	}
	h, blocks, err := r.parse(data)
	if err != nil {
		r.stats.Refused++
		return err
	}
	if !r.active || h.SSRC != r.ssrc {
		if r.active && !r.ended && at-r.heard < silence {
			r.stats.Refused++
			return fmt.Errorf("%w: another sender while one is heard", errForeign)
		}
		r.restart(h.SSRC)
	}
	number := r.numbers.unwrap(uint64(h.SequenceNumber), 16)
	stamp := r.stamps.unwrap(uint64(h.Timestamp), 32)
	if r.base == noBase {
		// Repairs of earlier frames lie before it.
		r.base = stamp - int64(256*r.info.HopLength)
		r.count.first = number
		r.cursor = 256
		r.begin = at
	}
	since := stamp - r.base
	if since < 0 || since%int64(r.info.HopLength) != 0 {
		r.stats.Refused++
		return fmt.Errorf("%w: a time stamp between frames", errForeign)
	}
	frame := since / int64(r.info.HopLength)
	if frame > max(r.newest, r.cursor)+leap && (r.jump == 0 || frame < r.jump-leap || frame > r.jump+leap) {
		// A sender that paused goes on from there; a single stray does not.
		r.jump = frame
		r.stats.Refused++
		return nil
	}
	r.jump = 0
	if r.seen[number&1023] == number+1 {
		r.stats.Duplicates++
		return nil
	}
	r.seen[number&1023] = number + 1
	r.heard = at
	r.stats.Packets++
	r.count.received++
	r.jitterOf(at, stamp)
	for i, b := range blocks {
		b.first += frame
		if i == 0 {
			r.stats.Bits += int64(8 * codec.PackedBytes(b.frames(), r.info.CodebookSizes[:b.codebooks]))
		}
		r.take(at, b, i > 0)
	}
	r.bound(at)
	return nil
}

// bound moves on where more waits than MaxDelay: after a jump of the sender, and
// where nobody reads.
func (r *Receiver) bound(at float64) {
	limit := max(4, int64(r.o.MaxDelay.Seconds()/r.hop))
	if r.newest-r.cursor < limit {
		return
	}
	to := r.newest - limit/2
	for frame := range r.frames {
		if frame < to {
			delete(r.frames, frame)
			r.stats.Skipped++
		}
	}
	for !r.has(to) { // newest is there
		to++
	}
	r.cursor, r.guessed = to, 0
	r.offset = r.position(at)
}

// take keeps the frames of a block.
func (r *Receiver) take(at float64, b block, repair bool) {
	for i := range b.frames() {
		frame := b.first + int64(i)
		codes := b.codes[i*b.codebooks : (i+1)*b.codebooks]
		if !r.playing && frame < r.cursor && !repair {
			r.cursor = frame // reordered before the first
		}
		old, known := r.frames[frame]
		if !known && (frame >= r.cursor || !repair) {
			// When a frame can be played first is what the buffer must wait for,
			// be it by a repair. Of frames that have been played, those in their own
			// packets count: they came too late.
			r.delays.add(at - float64(frame)*r.hop)
			r.sender.add(at, at-float64(frame)*r.hop)
		}
		if frame < r.cursor {
			if !repair && r.playing {
				r.stats.Late++
			}
			continue
		}
		if !known || len(codes) > len(old.codes) {
			r.frames[frame] = received{codes, b.codebooks, repair}
		}
		r.newest = max(r.newest, frame)
	}
}

// jitterOf follows RFC 3550, appendix A.8.
func (r *Receiver) jitterOf(at float64, stamp int64) {
	transit := at*float64(r.info.SampleRate) - float64(stamp-r.base)
	if r.count.received > 1 {
		d := transit - r.transit
		r.jitter += (max(d, -d) - r.jitter) / 16
	}
	r.transit = transit
}

// control takes RTCP: the sender's clock, and its goodbye.
func (r *Receiver) control(at float64, data []byte) error {
	packets, err := rtcp.Unmarshal(data)
	if err != nil {
		r.stats.Refused++
		return fmt.Errorf("packet: %w", err)
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			if r.active && p.SSRC == r.ssrc {
				r.report.middle, r.report.at = uint32(p.NTPTime>>16), at
			}
		case *rtcp.Goodbye:
			for _, s := range p.Sources {
				r.ended = r.ended || r.active && s == r.ssrc
			}
		}
	}
	return nil
}

// Read fills dst with what is to be heard from now on; it never waits. Without a
// stream that is silence.
func (r *Receiver) Read(now time.Duration, dst []float32) error {
	at := now.Seconds()
	if !r.playing && r.active {
		// The first frames are held for the jitter that is not yet known.
		r.playing = at-r.begin >= r.o.Margin.Seconds()
		r.offset, r.looked = r.position(at), at
	}
	if !r.playing {
		clear(dst)
		return nil
	}
	length := float64(len(dst)) / float64(r.info.SampleRate)
	r.block = max(length, 0.99*r.block)
	r.read += length
	r.reader.add(at, r.read-at)
	r.steer(at)
	for len(r.queue) < len(dst) && !r.flushed {
		if r.ended && r.cursor > r.newest {
			r.flushed = true
			pcm, err := r.decoder.Flush(r.pcm[:0])
			if err != nil {
				return err
			}
			r.queue = r.drift.Process(r.queue, append(pcm, make([]float32, 64)...))
			break
		}
		if err := r.advance(at); err != nil {
			return err
		}
	}
	n := copy(dst, r.queue)
	clear(dst[n:])
	r.queue = r.queue[:copy(r.queue, r.queue[n:])]
	return nil
}

// position is when the cursor's frame has to be decoded, less its time in the
// stream.
func (r *Receiver) position(at float64) float64 {
	return at + float64(len(r.queue))/float64(r.info.SampleRate) - float64(r.cursor)*r.hop
}

// surplus is by how much frames come earlier than they have to, negative where
// they come too late.
func (r *Receiver) surplus() float64 {
	// A Read decodes for all of its samples at once.
	return r.offset - r.delays.late() - r.o.Margin.Seconds() - r.block
}

// steer sets the speed: that at which the clocks differ, and more where the buffer
// is too deep, less where it is too shallow.
func (r *Receiver) steer(at float64) {
	dt := at - r.looked
	if dt <= 0 {
		return
	}
	r.looked = at
	r.offset += min(1, dt/smoothing) * (r.position(at) - r.offset)
	r.drift.SetRatio(1 + r.clocks() + min(max(r.surplus()/correction, -maxCorrection), maxCorrection))
}

// clocks is by how much the sender's clock is faster than the playback's.
func (r *Receiver) clocks() float64 {
	s, ok1 := r.sender.slope()
	p, ok2 := r.reader.slope()
	if !ok1 || !ok2 {
		return 0
	}
	return min(max(-s-p, -maxDrift), maxDrift)
}

// advance decodes or conceals one frame.
func (r *Receiver) advance(at float64) error {
	r.pcm = r.pcm[:0]
	var err error
	switch f, ok := r.frames[r.cursor]; {
	case r.newest < r.cursor:
		// It may be late, or lost: what comes next will tell.
		r.pcm, err = r.decoder.Conceal(r.pcm, 1)
		r.guessed++
		r.offset += r.hop
	case r.guessed > 0:
		// Guesses stand for the frames that turn out to be missing; the others
		// made the buffer longer.
		for r.guessed > 0 && !r.has(r.cursor) {
			r.guessed--
			r.stats.Concealed++
			r.skip()
		}
		r.stats.Stretched += int(r.guessed)
		r.guessed = 0
	case ok && r.surplus() > tooDeep && r.cursor%4 == 0 && r.newest > r.cursor+2:
		r.stats.Skipped++
		r.skip()
	case ok:
		if err = r.scale(f.codebooks); err == nil {
			r.pcm, err = r.decoder.Decode(r.pcm, f.codes)
		}
		if f.repair {
			r.stats.Repaired++
		} else {
			r.stats.Played++
		}
		r.pass(1)
	case r.surplus() < -r.hop/2 && !r.ended && r.position(at)-r.earliest() < r.o.MaxDelay.Seconds():
		// Too many come too late for this depth: wait for this one.
		r.pcm, err = r.decoder.Conceal(r.pcm, 1)
		r.stats.Stretched++
		r.offset += r.hop
	default:
		err = r.conceal()
	}
	if err == nil {
		r.queue = r.drift.Process(r.queue, r.pcm)
	}
	return err
}

// earliest is the transit of the fastest recent frame.
func (r *Receiver) earliest() float64 { return r.delays.late() - r.delays.spread() }

func (r *Receiver) has(frame int64) bool {
	_, ok := r.frames[frame]
	return ok
}

// pass moves past frames that have become sound.
func (r *Receiver) pass(n int64) {
	for range n {
		delete(r.frames, r.cursor)
		r.cursor++
	}
}

// skip moves past a frame for which there is no new sound: what follows plays
// earlier.
func (r *Receiver) skip() {
	r.pass(1)
	r.offset -= r.hop
}

// conceal stands in for the cursor's frame, or for all up to the next one that is
// there.
func (r *Receiver) conceal() error {
	const far = 8 // frames; a bridge over more would be a guess as well
	n := int64(1)
	var err error
	if b, ok := r.decoder.(codec.Bridger); ok {
		for n < far && !r.has(r.cursor+n) {
			n++
		}
		if next, ok := r.frames[r.cursor+n]; ok {
			if err = r.scale(next.codebooks); err == nil {
				r.pcm, err = b.Bridge(r.pcm, int(n), next.codes)
			}
			r.stats.Concealed += int(n)
			r.pass(n)
			return err
		}
		n = 1
	}
	r.pcm, err = r.decoder.Conceal(r.pcm, 1)
	r.stats.Concealed++
	r.pass(1)
	return err
}

// scale tells the decoder how many codebooks follow.
func (r *Receiver) scale(codebooks int) error {
	if codebooks == r.scaled {
		return nil
	}
	s, ok := r.decoder.(codec.Scalable)
	if !ok {
		return errors.New("packet: the model cannot change its bitrate in a stream")
	}
	r.scaled = codebooks
	return s.SetCodebooks(codebooks)
}

// Done says that the sender said goodbye and all that came has been read.
func (r *Receiver) Done() bool { return r.flushed && len(r.queue) == 0 }

// Heard is the time since the newest packet, and whether there was one.
func (r *Receiver) Heard(now time.Duration) (time.Duration, bool) {
	return now - time.Duration(r.heard*float64(time.Second)), r.active
}

// Stats says how the stream fares.
func (r *Receiver) Stats() Stats {
	s := r.stats
	s.JitterMS = r.delays.spread() * 1000
	if r.playing {
		s.BufferMS = float64(len(r.queue))/float64(r.info.SampleRate)*1000 + float64(max(0, r.newest+1-r.cursor))*r.hop*1000
	}
	s.DriftPPM = r.clocks() * 1e6
	if r.active {
		s.Lost = int(max(0, r.numbers.newest-r.count.first+1-r.count.received))
	}
	return s
}

// Report makes the RTCP receiver report since the one before; nil without a
// stream.
func (r *Receiver) Report(now time.Duration) ([]byte, error) {
	if !r.active {
		return nil, nil
	}
	c := &r.count
	expected := r.numbers.newest - c.first + 1
	lost := max(0, expected-c.received)
	interval, got := expected-c.expectedPrior, c.received-c.receivedPrior
	c.expectedPrior, c.receivedPrior = expected, c.received
	var fraction uint8
	if interval > got && interval > 0 {
		fraction = uint8(min(255, (interval-got)*256/interval))
	}
	b := rtcp.ReceptionReport{
		SSRC: r.ssrc, FractionLost: fraction, TotalLost: uint32(min(lost, 1<<24-1)),
		LastSequenceNumber: uint32(r.numbers.newest), Jitter: uint32(r.jitter),
	}
	if r.report.middle != 0 {
		b.LastSenderReport = r.report.middle
		b.Delay = uint32((now.Seconds() - r.report.at) * 65536)
	}
	return rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: r.ours, Reports: []rtcp.ReceptionReport{b}}})
}
