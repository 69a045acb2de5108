package codec

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

const (
	// maxMissing bounds the frames that a file may claim as lost without having
	// any of their bytes: 5.8 hours at 50 frames a second.
	maxMissing = 1 << 20
	// maxRescan bounds the payload bytes that are searched a second time for
	// packet headers after their checksum failed.
	maxRescan = 64 << 20
	// maxDamage bounds the list of errors kept.
	maxDamage = 1000
)

// Packet is a run of frames of every channel.
type Packet struct {
	Sequence   uint32
	FirstFrame int64
	Frames     int
	Codes      [][]int32 // a channel, frame-major [Frames][codebooks]; nil when Lost
	Lost       bool      // damaged or missing: Frames frames to conceal
}

// Reader reads a .sotto file from a stream in constant memory. It is not safe
// for concurrent use.
type Reader struct {
	w       window
	h       Header
	pk      packing
	entropy *Entropy  // of coded payloads, once needed
	seeker  io.Seeker // nil for pipes
	base    int64     // of the file within seeker
	start   int64     // of the first packet within the file
	entries []indexEntry
	indexed bool

	sequence int64 // expected next
	frame    int64 // expected next
	gap      gap   // to report before next
	next     *Packet
	reason   string  // why next is lost
	held     *Packet // read by SeekFrame, not yet returned
	rescan   bool    // the bytes ahead are those of a damaged payload
	done     bool
	end      *endRecord

	missing   int64 // frames claimed by gaps so far
	rescanned int
	damage    []error
	unlisted  int // damage beyond maxDamage
}

// gap is a run of packets of which only the extent is known.
type gap struct {
	packets, frames int64
	reason          string
}

// NewReader reads the file header. Errors wrap ErrFormat or are a
// *VersionError, or come from r.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{w: window{r: r}}
	if s, ok := r.(io.Seeker); ok {
		if base, err := s.Seek(0, io.SeekCurrent); err == nil {
			rd.seeker, rd.base = s, base
		}
	}
	h, err := readHeader(&rd.w)
	if err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	rd.h = h
	rd.pk = newPacking(h.CodebookSizes)
	rd.pk.coded = h.coded()
	rd.start = rd.w.offset
	return rd, nil
}

// Header returns the file header.
func (r *Reader) Header() Header { return r.h.clone() }

// Damage lists what was found damaged so far, one error a lost packet; damage
// that costs no packet, such as in the seek index, is listed as well.
func (r *Reader) Damage() []error {
	if r.unlisted == 0 {
		return slices.Clone(r.damage)
	}
	return append(slices.Clone(r.damage), fmt.Errorf("and %d more", r.unlisted))
}

func (r *Reader) report(format string, args ...any) {
	if len(r.damage) == maxDamage {
		r.unlisted++
		return
	}
	r.damage = append(r.damage, fmt.Errorf(format, args...))
}

// Samples is the number of samples a channel at the original rate: what the
// header says until Next has returned io.EOF, then what the footer says; -1
// where it is not known. In a file that lacks its footer the header's number
// counts only if the frames read cover it.
func (r *Reader) Samples() int64 {
	switch {
	case r.end != nil:
		return r.end.samples
	case !r.done || r.h.holds(r.frame, r.h.Samples):
		return r.h.Samples
	}
	return -1
}

// Next returns the next packet, io.EOF after the last one, or the error of the
// stream. A damaged or missing packet is returned with Lost set, and Damage
// says what happened to it. Frames are returned without gap or overlap. A file
// that is entropy-coded needs its network to be registered by now, else an
// *EntropyError is returned.
func (r *Reader) Next() (*Packet, error) {
	if err := r.prepare(); err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	for {
		switch {
		case r.held != nil:
			p := r.held
			r.held = nil
			return p, nil
		case r.gap.packets > 0:
			frames := int(r.gap.frames / r.gap.packets)
			r.gap.frames -= int64(frames)
			r.gap.packets--
			return r.lose(frames, r.gap.reason), nil
		case r.next != nil:
			p := r.next
			r.next = nil
			if p.Lost {
				return r.lose(p.Frames, r.reason), nil
			}
			return r.deliver(p), nil
		case r.done:
			return nil, io.EOF
		}
		if err := r.advance(); err != nil {
			return nil, fmt.Errorf("codec: reading: %w", err)
		}
	}
}

// prepare finds the network of coded payloads.
func (r *Reader) prepare() error {
	if !r.pk.coded || r.entropy != nil {
		return nil
	}
	e, err := findEntropy(func(e *Entropy) bool { return e.id == r.h.Entropy })
	if err != nil {
		return err
	}
	if e == nil {
		return &EntropyError{Model: r.h.Model, Weights: r.h.Fingerprint, Need: r.h.Entropy}
	}
	if err := e.knows(&r.h); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	r.entropy = e
	return nil
}

// unpack reads a payload.
func (r *Reader) unpack(payload []byte, frames int) ([][]int32, error) {
	if r.entropy != nil {
		return r.entropy.decode(payload, &r.pk, r.h.Channels, frames)
	}
	return r.pk.unpack(payload, r.h.Channels, frames)
}

// deliver gives p out as the packet that was expected.
func (r *Reader) deliver(p *Packet) *Packet {
	r.sequence++
	r.frame += int64(p.Frames)
	return p
}

// lose gives out the expected packet as lost.
func (r *Reader) lose(frames int, reason string) *Packet {
	p := &Packet{Sequence: uint32(r.sequence), FirstFrame: r.frame, Frames: frames, Lost: true}
	r.report("packet %d (frames %d-%d): %s: concealed", p.Sequence, p.FirstFrame, p.FirstFrame+int64(frames)-1, reason)
	return r.deliver(p)
}

// advance reads up to the next packet or the end of the file and sets gap,
// next and done accordingly. It returns errors of the stream only.
func (r *Reader) advance() error {
	skipped := 0      // bytes that belong to nothing
	quiet := r.rescan // they were accounted for
	r.rescan = false
	for {
		b, err := r.w.peek(2)
		if err == nil && b[0] == syncByte && b[1] == packetTag {
			b, err = r.w.peek(packetHeaderSize)
		} else if err == nil && b[0] == syncByte && b[1] == endTag {
			b, err = r.w.peek(endSize)
		}
		if err != nil && err != io.EOF {
			return err
		}
		if len(b) == 0 {
			r.done = true
			if r.end == nil {
				r.report("the file is cut off after frame %d: no end record", r.frame)
			}
			return nil
		}
		if len(b) == endSize {
			if e, ok := parseEnd(b, &r.h); ok {
				if err := r.extent(int64(e.packets), e.frames); err != nil {
					r.report("end record: %w: ignored", err)
				} else {
					return r.finish(e, skipped, quiet)
				}
			}
		}
		if len(b) == packetHeaderSize {
			if p, ok := parsePacketHeader(b, &r.pk, r.h.Channels); ok {
				accepted, err := r.accept(p, skipped, quiet)
				if accepted || err != nil {
					return err
				}
				quiet = true
				continue
			}
		}
		// Not a record: go on at the next byte that may start one.
		n := bytes.IndexByte(r.w.buf[1:], syncByte) + 1
		if n == 0 {
			n = len(r.w.buf)
		}
		r.w.discard(n)
		skipped += n
	}
}

// extent checks that the expected packet may be followed by this place.
func (r *Reader) extent(sequence, first int64) error {
	packets, frames := sequence-r.sequence, first-r.frame
	switch {
	case packets < 0 || frames < packets || frames > packets*MaxPacketFrames:
		return fmt.Errorf("packet %d at frame %d contradicts packet %d at frame %d", sequence, first, r.sequence, r.frame)
	case r.missing+frames > maxMissing:
		return fmt.Errorf("%d frames are missing before frame %d, more than can be concealed", frames, first)
	}
	return nil
}

// open records that packets are missing up to the given place, which must have
// passed extent.
func (r *Reader) open(sequence, first int64, skipped int, quiet bool) {
	packets, frames := sequence-r.sequence, first-r.frame
	r.missing += frames
	switch {
	case packets == 0 && skipped > 0 && !quiet:
		r.report("%d bytes before offset %d belong to no packet: skipped", skipped, r.w.offset)
	case packets > 0 && skipped > 0:
		r.gap = gap{packets, frames, "damaged"}
	case packets > 0:
		r.gap = gap{packets, frames, "missing"}
	}
}

// accept takes the packet whose header p is next in the stream. It returns
// false after discarding a header that cannot be used.
func (r *Reader) accept(p packetHeader, skipped int, quiet bool) (bool, error) {
	b, err := r.w.peek(packetHeaderSize + p.length)
	if err != nil && err != io.EOF {
		return false, err
	}
	if err == io.EOF {
		// Cut off here, or bytes are missing inside: the end record may follow.
		r.w.discard(packetHeaderSize)
		return false, nil
	}
	payload := b[packetHeaderSize:]
	intact := checksum(payload) == p.payloadCRC
	accepted := false
	if int64(p.sequence) < r.sequence {
		r.report("packet %d comes again or late: ignored", p.sequence)
	} else if err := r.extent(int64(p.sequence), p.first); err != nil {
		r.report("%w: ignored", err)
	} else {
		accepted = true
		r.open(int64(p.sequence), p.first, skipped, quiet)
		r.next = &Packet{Sequence: p.sequence, FirstFrame: p.first, Frames: p.frames}
		if !intact {
			r.next.Lost, r.reason = true, "payload checksum differs"
		} else if r.next.Codes, err = r.unpack(payload, p.frames); err != nil {
			r.next.Lost, r.reason = true, err.Error()
		}
	}
	if !intact && r.rescanned < maxRescan {
		// Bytes may be missing from it: look for the next header inside.
		r.rescanned += len(payload)
		r.rescan = true
		r.w.discard(packetHeaderSize)
		return accepted, nil
	}
	r.w.discard(len(b))
	return accepted, nil
}

// finish takes the end record e that is next in the stream and checks the rest
// of the footer, none of which the packets need.
func (r *Reader) finish(e endRecord, skipped int, quiet bool) error {
	r.open(int64(e.packets), e.frames, skipped, quiet)
	r.end, r.done = &e, true
	r.w.discard(endSize)
	if b, _ := r.w.peek(1); len(b) == 0 && skipped > 0 {
		return nil // the copy at the end: the first one was among the bytes skipped
	}
	crc := uint32(0)
	for left := e.entries * indexEntrySize; left > 0; {
		b, err := r.w.peek(min(left, windowStep))
		if err != nil {
			return r.footerCut(err)
		}
		crc = crc32.Update(crc, castagnoli, b)
		left -= len(b)
		r.w.discard(len(b))
	}
	b, err := r.w.peek(4 + endSize)
	if err != nil {
		return r.footerCut(err)
	}
	if uint32(readUint(b[:4])) != crc {
		r.report("the checksum of the seek index differs: it is rebuilt when needed")
	}
	if !bytes.Equal(b[4:], e.append(nil)) {
		r.report("the last %d bytes differ from the end record", endSize)
	}
	r.w.discard(len(b))
	if b, _ := r.w.peek(1); len(b) > 0 {
		r.report("data after the end of the file at offset %d: ignored", r.w.offset)
	}
	return nil
}

func (r *Reader) footerCut(err error) error {
	if err != io.EOF {
		return err
	}
	r.report("the footer is cut off: the seek index is rebuilt when needed")
	return nil
}
