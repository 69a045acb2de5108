package audio

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
)

// flacReader decodes FLAC (RFC 9639) through github.com/mewkiz/flac.
type flacReader struct {
	stream  *flac.Stream
	frames  *flacFrames
	format  Format
	scale   float32
	md5     hash.Hash
	frame   *frame.Frame
	next    int // sample of frame to give next
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
		stream: stream, frames: &flacFrames{r: s.r}, format: f,
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
	for r.err == nil && (r.frame == nil || r.next == len(r.frame.Subframes[0].Samples)) {
		r.err = r.readFrame()
	}
	if r.err != nil {
		return 0, r.err
	}
	n := min(len(dst)/ch, len(r.frame.Subframes[0].Samples)-r.next)
	for c, sub := range r.frame.Subframes {
		x := sub.Samples[r.next:][:n]
		for i, v := range x {
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
	var f *frame.Frame
	if err = r.frames.start(); err == nil {
		f, err = frame.Parse(r.frames)
	}
	if err == io.EOF {
		if info.NSamples > 0 {
			return fmt.Errorf("FLAC file is cut off: %d of %d samples are there", r.decoded, info.NSamples)
		}
		return r.check()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("FLAC file is cut off after sample %d", r.decoded)
	}
	if err != nil && !r.frames.intact() {
		return fmt.Errorf("FLAC file is damaged after sample %d: %w", r.decoded, err)
	}
	if len(f.Subframes) != r.format.Channels || int(f.BitsPerSample) != r.format.Bits {
		return fmt.Errorf("FLAC file changes its channels or sample size after sample %d, which is not read here", r.decoded)
	}
	for _, s := range f.Subframes {
		if s == nil || len(s.Samples) != int(f.BlockSize) {
			return fmt.Errorf("FLAC file is damaged after sample %d", r.decoded)
		}
	}
	r.frame, r.next = f, 0
	r.decoded += uint64(f.BlockSize)
	r.hash()
	return nil
}

// hash adds the frame to the MD5 sum: samples little-endian and interleaved, in
// whole bytes (RFC 9639 section 8.2).
func (r *flacReader) hash() {
	size := (r.format.Bits + 7) / 8
	r.bytes = r.bytes[:0]
	for i := range r.frame.Subframes[0].Samples {
		for _, s := range r.frame.Subframes {
			v := s.Samples[i]
			for b := range size {
				r.bytes = append(r.bytes, byte(v>>(8*b)))
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

// flacFrames hands frames to frame.Parse. That function writes a line to the
// standard log for every frame whose header names a rate of 24 kHz or 176.4 kHz.
// Such headers are handed over with the rate left to the stream's header
// (0000), and the log stays the program's own. The checksum at the end of such a
// frame then fails, which frame.Parse finds after all else is done; intact does
// that check on the bytes as stored.
type flacFrames struct {
	r     *bufio.Reader
	head  [17]byte // the changed header
	n, at int      // its length and how much of it was given; 0 for frames as they are
	crc   uint16   // of the frame as stored
}

// intact holds for a changed frame that was read whole, checksum included.
func (f *flacFrames) intact() bool { return f.n > 0 && f.crc == 0 }

// start looks at the header of the next frame (RFC 9639 section 9.1).
func (f *flacFrames) start() error {
	f.n, f.at, f.crc = 0, 0, 0
	h, _ := f.r.Peek(len(f.head))
	if len(h) < 3 || h[0] != 0xff || h[1]&0xfc != 0xf8 || h[2]&15 != 2 && h[2]&15 != 7 {
		return nil
	}
	if len(h) < 6 {
		return io.ErrUnexpectedEOF
	}
	// A number in the manner of UTF-8, then the block size when it is not coded.
	n := 5
	for b := h[4] << 1; h[4] >= 0xc0 && b&0x80 != 0; b <<= 1 {
		n++
	}
	switch h[2] >> 4 {
	case 6:
		n++
	case 7:
		n += 2
	}
	if n >= len(h) {
		return io.ErrUnexpectedEOF
	}
	if crc8(h[:n]) != h[n] {
		return errors.New("a frame header has a wrong checksum")
	}
	copy(f.head[:], h[:n])
	f.head[2] &= 0xf0
	f.head[n] = crc8(f.head[:n])
	f.n = n + 1
	return nil
}

func (f *flacFrames) Read(p []byte) (int, error) {
	if f.n == 0 {
		return f.r.Read(p)
	}
	if f.at < f.n {
		n := copy(p, f.head[f.at:f.n])
		stored, _ := f.r.Peek(n)
		f.crc = crc16(f.crc, stored)
		f.r.Discard(n)
		f.at += n
		return n, nil
	}
	n, err := f.r.Read(p)
	f.crc = crc16(f.crc, p[:n])
	return n, err
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

// crc16Table serves the polynomial x^16+x^15+x^2+1 (RFC 9639 section 9.3).
var crc16Table = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			c = c<<1 ^ 0x8005*(c>>15)
		}
		t[i] = c
	}
	return t
}()

func crc16(c uint16, b []byte) uint16 {
	for _, v := range b {
		c = c<<8 ^ crc16Table[byte(c>>8)^v]
	}
	return c
}
