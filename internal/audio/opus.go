package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/pion/opus"
)

// Opus streams always decode at 48 kHz (RFC 7845, section 5.1), in packets of at
// most 120 ms (RFC 6716, section 3.2.5).
const (
	opusRate      = 48000
	opusMaxFrames = opusRate * 120 / 1000
	maxOpusPacket = 1 << 16 // bytes; 48 frames of 1275 and their lengths
)

// opusReader decodes Ogg Opus (RFC 7845) of one or two channels through
// github.com/pion/opus.
type opusReader struct {
	src     *source
	file    string
	pages   *oggPages
	packets [][]byte // of the current page, not decoded yet
	open    []byte   // of a packet that goes on in the next page
	dec     opus.Decoder
	format  Format
	frames  int64
	gain    float32
	skip    int64 // frames to drop: the pre-skip
	granule int64 // frames of the stream up to the end of the current page, -1 unknown
	decoded int64 // frames of the stream so far, pre-skip included
	pcm     []float32
	ready   []float32 // decoded and not given yet
	err     error
}

func newOpusReader(s *source, file string) (Reader, error) {
	head, _ := s.r.Peek(sniffBytes)
	frames := s.oggFrames(head)
	r := &opusReader{src: s, file: file, frames: frames}
	if err := r.link(); err != nil {
		return nil, err
	}
	if r.frames >= 0 {
		r.frames = max(0, r.frames-r.skip)
	}
	return r, nil
}

// link reads the headers of the Opus stream that starts here.
func (r *opusReader) link() error {
	r.pages = &oggPages{r: r.src.r, opus: true}
	r.packets, r.open = nil, nil
	head, err := r.packet()
	if err != nil {
		return errors.New("the Ogg Opus file is cut off at its start")
	}
	// Section 5.1: magic, version, channels, pre-skip, rate, gain, mapping.
	if len(head) < 19 || head[8]>>4 != 0 {
		return errors.New("the Ogg Opus header is damaged")
	}
	channels, mapping := int(head[9]), head[18]
	if channels < 1 || channels > 2 || mapping > 1 || mapping == 1 && (len(head) < 21 || head[19] != 1 || int(head[20]) != channels-1) {
		return useFFmpeg(fmt.Sprintf("Ogg Opus of %d channels", channels), r.file)
	}
	if mapping == 1 && (len(head) < 21+channels || head[21] != 0 || channels == 2 && head[22] != 1) {
		return useFFmpeg("Ogg Opus of exchanged channels", r.file)
	}
	le := binary.LittleEndian
	r.skip = int64(le.Uint16(head[10:]))
	r.gain = float32(math.Pow(10, float64(int16(le.Uint16(head[16:])))/(20*256)))
	r.format = Format{SampleRate: opusRate, Channels: channels, Kind: "opus"}
	r.decoded, r.granule = 0, -1
	if _, err := r.packet(); err != nil { // comments
		return errors.New("the Ogg Opus file is cut off inside of its comments")
	}
	if r.dec, err = opus.NewDecoderWithOutput(opusRate, channels); err != nil {
		return err
	}
	r.pcm = make([]float32, opusMaxFrames*channels)
	return nil
}

// packet gives the next packet; it holds until the next call.
func (r *opusReader) packet() ([]byte, error) {
	for len(r.packets) == 0 {
		if err := r.pages.next(); err != nil {
			return nil, err
		}
		page := r.pages.page
		if binary.LittleEndian.Uint32(page[22:]) != oggChecksum(page) {
			return nil, errors.New("the checksum of a page is wrong")
		}
		segments := int(page[26])
		body := page[27+segments:]
		if page[5]&1 == 0 {
			r.open = r.open[:0] // what was open was lost
		}
		for _, n := range page[27 : 27+segments] {
			r.open = append(r.open, body[:n]...)
			body = body[n:]
			if len(r.open) > maxVorbisHeaders {
				return nil, errors.New("a packet is too large")
			}
			if n < 255 {
				r.packets = append(r.packets, append([]byte(nil), r.open...))
				r.open = r.open[:0]
			}
		}
		r.granule = int64(binary.LittleEndian.Uint64(page[6:]))
	}
	p := r.packets[0]
	r.packets = r.packets[1:]
	return p, nil
}

func (r *opusReader) Format() Format { return r.format }
func (r *opusReader) Frames() int64  { return r.frames }
func (r *opusReader) Close() error   { return nil }

func (r *opusReader) Read(dst []float32) (int, error) {
	channels := r.format.Channels
	if len(dst) < channels {
		return 0, errShortBuffer
	}
	for len(r.ready) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.decode()
		if r.err == io.EOF {
			r.err = r.nextLink()
		}
	}
	n := copy(dst[:len(dst)/channels*channels], r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// decode decodes the next packet.
func (r *opusReader) decode() (err error) {
	defer recoverInto(&err, "Ogg Opus")
	p, err := r.packet()
	if err == io.EOF {
		return io.EOF
	}
	if err == io.ErrUnexpectedEOF {
		return errors.New("the Ogg Opus file is cut off")
	}
	if err != nil {
		return fmt.Errorf("the Ogg Opus file is damaged: %w", err)
	}
	if len(p) == 0 || len(p) > maxOpusPacket {
		return errors.New("the Ogg Opus file is damaged: a packet has a wrong size")
	}
	n, err := r.dec.DecodeToFloat32(p, r.pcm)
	if err != nil {
		return fmt.Errorf("the Ogg Opus file is damaged: %w", err)
	}
	r.decoded += int64(n)
	frames := int64(n)
	// The last page may end inside of its last packet (section 4.4).
	if r.pages.last && len(r.packets) == 0 && r.granule >= 0 {
		frames = max(0, frames-max(0, r.decoded-r.granule))
	}
	drop := min(r.skip, frames)
	r.skip -= drop
	c := int64(r.format.Channels)
	r.ready = r.pcm[drop*c : frames*c]
	for i, v := range r.ready {
		r.ready[i] = finite(float32(v * r.gain))
	}
	return nil
}

// nextLink goes on with the next stream of a chained file.
func (r *opusReader) nextLink() error {
	h, _ := r.src.r.Peek(6)
	if len(h) == 0 {
		if !r.pages.last {
			return errors.New("the Ogg Opus file is cut off")
		}
		return io.EOF
	}
	if len(h) < 6 || string(h[:4]) != "OggS" || h[5]&2 == 0 {
		return io.EOF
	}
	was := r.format
	if err := r.link(); err != nil {
		return err
	}
	if r.format != was {
		return errors.New("the Ogg file changes its channels between its parts: split it first")
	}
	return nil
}

// oggChecksum is that of a page, whose own field counts as 0: CRC-32 of polynomial
// 0x04c11db7, from the highest bit on (RFC 3533, section 6).
func oggChecksum(page []byte) (sum uint32) {
	for i, b := range page {
		if i >= 22 && i < 26 {
			b = 0
		}
		sum = sum<<8 ^ oggTable[byte(sum>>24)^b]
	}
	return sum
}

var oggTable = func() (t [256]uint32) {
	for i := range t {
		x := uint32(i) << 24
		for range 8 {
			x = x<<1 ^ 0x04c11db7&-(x>>31)
		}
		t[i] = x
	}
	return t
}()
