package audio

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/mewkiz/flac"
)

// flacReader decodes FLAC (RFC 9639): its header through github.com/mewkiz/flac, and
// its frames here.
type flacReader struct {
	stream  *flac.Stream
	frames  *flacFrames
	format  Format
	scale   float32
	md5     hash.Hash
	frame   [][]int32 // a channel
	next    int       // sample of frame to give next
	decoded uint64
	bytes   []byte
	err     error
}

func newFLACReader(s *source) (r *flacReader, err error) {
	defer recoverInto(&err, "FLAC")
	// flac.New reads through the *bufio.Reader that it is given, so that frames
	// follow in s.r.
	stream, err := flac.New(s.r)
	if err != nil {
		return nil, fmt.Errorf("FLAC header is damaged: %w", err)
	}
	info := stream.Info
	f := Format{
		SampleRate: int(info.SampleRate), Channels: int(info.NChannels), Bits: int(info.BitsPerSample), Kind: "flac",
	}
	if err := f.validate(); err != nil {
		return nil, fmt.Errorf("FLAC header is damaged: %w", err)
	}
	switch f.Bits {
	case 8, 12, 16, 20, 24:
	default:
		return nil, fmt.Errorf("FLAC of %d bits is not read here: convert it to 16 or 24 bits", f.Bits)
	}
	return &flacReader{
		stream: stream, frames: &flacFrames{r: s.r, bits: f.Bits}, format: f,
		scale: 1 / float32(int32(1)<<(f.Bits-1)), md5: md5.New(),
	}, nil
}

func (r *flacReader) Format() Format { return r.format }
func (r *flacReader) Close() error   { return nil }

func (r *flacReader) Frames() int64 {
	if n := r.stream.Info.NSamples; n > 0 {
		return int64(n)
	}
	return -1
}

func (r *flacReader) Read(dst []float32) (int, error) {
	ch := r.format.Channels
	if len(dst) < ch {
		return 0, errShortBuffer
	}
	for r.err == nil && (r.frame == nil || r.next == len(r.frame[0])) {
		r.err = r.readFrame()
	}
	if r.err != nil {
		return 0, r.err
	}
	n := min(len(dst)/ch, len(r.frame[0])-r.next)
	for c, x := range r.frame {
		if ch == 1 {
			dst := dst[:n]
			for i, v := range x[r.next:][:n] {
				dst[i] = float32(v) * r.scale
			}
			break
		}
		for i, v := range x[r.next:][:n] {
			dst[i*ch+c] = float32(v) * r.scale
		}
	}
	r.next += n
	return n * ch, nil
}

// readFrame decodes the next frame, or says at the end whether all came whole.
func (r *flacReader) readFrame() (err error) {
	defer recoverInto(&err, "FLAC")
	info := r.stream.Info
	if info.NSamples > 0 && r.decoded >= info.NSamples {
		return r.check() // what follows is no audio, such as an ID3v1 tag
	}
	f, err := r.frames.next()
	if err == io.EOF {
		if info.NSamples > 0 {
			return fmt.Errorf("FLAC file is cut off: %d of %d samples are there", r.decoded, info.NSamples)
		}
		return r.check()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("FLAC file is cut off after sample %d", r.decoded)
	}
	if err != nil {
		return fmt.Errorf("FLAC file is damaged after sample %d: %w", r.decoded, err)
	}
	if len(f) != r.format.Channels {
		return fmt.Errorf("FLAC file changes its channels after sample %d, which is not read here", r.decoded)
	}
	r.frame, r.next = f, 0
	r.decoded += uint64(len(f[0]))
	r.hash()
	return nil
}

// hash adds the frame to the MD5 sum: samples little-endian and interleaved, in
// whole bytes (RFC 9639 section 8.2).
func (r *flacReader) hash() {
	size, ch := (r.format.Bits+7)/8, len(r.frame)
	r.bytes = slices.Grow(r.bytes[:0], size*ch*len(r.frame[0]))[:size*ch*len(r.frame[0])]
	if size == 2 && ch == 1 {
		b := r.bytes
		for _, v := range r.frame[0] {
			binary.LittleEndian.PutUint16(b, uint16(v))
			b = b[2:]
		}
		r.md5.Write(r.bytes)
		return
	}
	for c, x := range r.frame {
		at := c * size
		for _, v := range x {
			b := r.bytes[at : at+size]
			at += size * ch
			b[0] = byte(v)
			if size > 1 {
				b[1] = byte(v >> 8)
			}
			if size > 2 {
				b[2] = byte(v >> 16)
			}
		}
	}
	r.md5.Write(r.bytes)
}

func (r *flacReader) check() error {
	want := r.stream.Info.MD5sum
	if want != [md5.Size]byte{} && !bytes.Equal(r.md5.Sum(nil), want[:]) {
		return errors.New("FLAC file is damaged: its samples do not fit its MD5 sum")
	}
	return io.EOF
}

// recoverInto turns a panic of a third-party decoder on damaged data into an
// error.
func recoverInto(err *error, kind string) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s file is damaged: %v", kind, p)
	}
}

// crc8 has the polynomial x^8+x^2+x+1 (RFC 9639 section 9.1.8).
func crc8(b []byte) (c byte) {
	for _, v := range b {
		c ^= v
		for range 8 {
			c = c<<1 ^ 7*(c>>7)
		}
	}
	return c
}

// crc16Tables serve the polynomial x^16+x^15+x^2+1 (RFC 9639 section 9.3): table k is
// what a byte adds that k others follow.
var crc16Tables = func() (t [8][256]uint16) {
	for i := range 256 {
		c := uint16(i) << 8
		for range 8 {
			c = c<<1 ^ 0x8005*(c>>15)
		}
		t[0][i] = c
	}
	for k := 1; k < len(t); k++ {
		for i, c := range t[k-1] {
			t[k][i] = c<<8 ^ t[0][c>>8]
		}
	}
	return t
}()

func crc16(c uint16, b []byte) uint16 {
	t := &crc16Tables
	for ; len(b) >= 8; b = b[8:] {
		c = t[7][b[0]^byte(c>>8)] ^ t[6][b[1]^byte(c)] ^ t[5][b[2]] ^ t[4][b[3]] ^ t[3][b[4]] ^ t[2][b[5]] ^ t[1][b[6]] ^ t[0][b[7]]
	}
	for _, v := range b {
		c = c<<8 ^ t[0][byte(c>>8)^v]
	}
	return c
}
