package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
)

// mp3Header is the header of a Layer III frame (ISO/IEC 11172-3, 2.4.1.3).
type mp3Header struct {
	version  int // 1, 2, or 25 for MPEG 2.5
	rate     int
	channels int
	samples  int // per frame
	size     int // bytes, header included
	side     int // bytes of side information behind header and CRC
}

var mp3Bitrates = [2][16]int{ // kbit/s: MPEG 1, MPEG 2 and 2.5
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// parseMP3Header reads the four bytes at the start of b. ok is false unless they
// are a Layer III header of a known size.
func parseMP3Header(b []byte) (h mp3Header, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe6 != 0xe2 || b[1]&0x18 == 0x08 {
		return h, false
	}
	bitrate, rate := b[2]>>4, b[2]>>2&3
	if bitrate == 0 || bitrate == 15 || rate == 3 || b[3]&3 == 2 {
		return h, false
	}
	h = mp3Header{version: 1, samples: 1152, side: 32, channels: 2}
	h.rate = [3]int{44100, 48000, 32000}[rate]
	table := 0
	switch b[1] & 0x18 {
	case 0x10:
		h.version, h.rate = 2, h.rate/2
	case 0x00:
		h.version, h.rate = 25, h.rate/4
	}
	if h.version != 1 {
		table, h.samples, h.side = 1, 576, 17
	}
	if b[3]>>6 == 3 {
		h.channels = 1
		h.side = h.side/2 + 1 // 17 and 9
	}
	h.size = h.samples/8*1000*mp3Bitrates[table][bitrate]/h.rate + int(b[2]>>1&1)
	return h, true
}

// findMP3 gives the offset of the first frame in the start of a source, -1 if
// there is none. A header counts when another like it follows, or the source
// ends before.
func findMP3(b []byte) int {
	for i := 0; i+4 <= len(b); i++ {
		h, ok := parseMP3Header(b[i:])
		if !ok {
			continue
		}
		next := i + h.size
		if next+4 > len(b) {
			if i == 0 {
				return i
			}
			continue
		}
		if n, ok := parseMP3Header(b[next:]); ok && n.version == h.version && n.rate == h.rate {
			return i
		}
	}
	return -1
}

// mp3Tag is what an encoder left in the first frame, which then holds no sound.
type mp3Tag struct {
	frames     int64 // -1 when unknown
	start, end int64 // samples added before and behind; start is -1 when unknown
}

// parseMP3Tag looks for a Xing, Info or VBRI tag in the first frame.
func parseMP3Tag(h mp3Header, b []byte) (t mp3Tag, ok bool) {
	t = mp3Tag{frames: -1, start: -1}
	be := binary.BigEndian
	if len(b) >= 36+18 && string(b[36:40]) == "VBRI" {
		t.frames = int64(be.Uint32(b[36+14:]))
		return t, true
	}
	if b = b[min(len(b), 4+h.side):]; len(b) < 8 || string(b[:4]) != "Xing" && string(b[:4]) != "Info" {
		return t, false
	}
	flags := be.Uint32(b[4:])
	b = b[8:]
	for bit, size := range []int{4, 4, 100, 4} { // frames, bytes, table, quality
		if flags>>bit&1 == 0 {
			continue
		}
		if len(b) < size {
			return t, true
		}
		if bit == 0 {
			t.frames = int64(be.Uint32(b))
		}
		b = b[size:]
	}
	// LAME's extension: 9 bytes of name, 12 of settings, then delay and padding
	// of 12 bits each.
	if len(b) >= 24 && !bytes.Equal(b[:4], make([]byte, 4)) {
		v := be.Uint32(b[20:]) & 0xffffff
		t.start, t.end = int64(v>>12), int64(v&0xfff)
	}
	return t, true
}

// mp3DecoderDelay is what a decoder adds before the first sample: 528 samples
// of its filters and one by convention of LAME.
const mp3DecoderDelay = 528 + 1

// mp3Reader decodes MP3 through github.com/hajimehoshi/go-mp3, which always
// gives 16-bit stereo with the encoder's delay. Delay and padding are cut where
// the encoder told them, as ffmpeg does.
type mp3Reader struct {
	dec    *mp3.Decoder
	format Format
	frames int64
	pos    int64    // of the next decoded sample
	skip   int64    // samples before are delay
	cut    [2]int64 // samples from [0] to [1] are padding
	buf    []byte
	err    error
}

func newMP3Reader(s *source, file string) (rd Reader, err error) {
	defer recoverInto(&err, "MP3")
	b, _ := s.r.Peek(4)
	h, _ := parseMP3Header(b)
	if h.version == 25 {
		return nil, useFFmpeg(fmt.Sprintf("MP3 at %d Hz (MPEG 2.5)", h.rate), file)
	}
	r := &mp3Reader{
		format: Format{SampleRate: h.rate, Channels: h.channels, Kind: "mp3"},
		frames: -1,
		buf:    make([]byte, 4*1152),
	}
	b, _ = s.r.Peek(h.size)
	if tag, ok := parseMP3Tag(h, b); ok {
		r.trim(tag, int64(h.samples))
		if err := s.discard(int64(len(b))); err != nil {
			return nil, err
		}
	}
	// A plain reader: go-mp3 reads files that can seek twice.
	r.dec, err = mp3.NewDecoder(struct{ io.Reader }{s.r})
	if err == io.EOF {
		r.err = io.EOF
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("MP3 file is damaged: %w", err)
	}
	return r, nil
}

func (r *mp3Reader) trim(t mp3Tag, samples int64) {
	if t.start >= 0 {
		r.skip = t.start + mp3DecoderDelay
	}
	if t.frames > 0 {
		r.frames = t.frames * samples
		if t.start >= 0 {
			r.cut = [2]int64{r.frames - max(0, t.end-mp3DecoderDelay), r.frames}
			r.frames = max(0, r.cut[0]-r.skip)
		}
	}
}

func (r *mp3Reader) Format() Format { return r.format }
func (r *mp3Reader) Frames() int64  { return r.frames }
func (r *mp3Reader) Close() error   { return nil }

func (r *mp3Reader) Read(dst []float32) (n int, err error) {
	ch := r.format.Channels
	if len(dst) < ch {
		return 0, errShortBuffer
	}
	for n == 0 {
		if r.err != nil {
			return 0, r.err
		}
		b := r.decode(min(len(r.buf), 4*(len(dst)/ch)))
		for ; len(b) >= 4; b = b[4:] {
			p := r.pos
			r.pos++
			if p < r.skip || p >= r.cut[0] && p < r.cut[1] {
				continue
			}
			for c := range ch {
				dst[n] = float32(int16(binary.LittleEndian.Uint16(b[2*c:]))) / (1 << 15)
				n++
			}
		}
	}
	return n, nil
}

// decode gives at most max bytes; at the end, or at damage, it sets r.err.
func (r *mp3Reader) decode(max int) []byte {
	defer recoverInto(&r.err, "MP3")
	n, err := r.dec.Read(r.buf[:max])
	if err != nil && err != io.EOF {
		err = fmt.Errorf("MP3 file is damaged: %w", err)
	}
	r.err = err
	return r.buf[:n]
}
