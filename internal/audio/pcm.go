package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// coding says how one stored sample becomes a float32.
type coding uint8

const (
	codeUint8 coding = iota
	codeInt16
	codeInt24
	codeInt32
	codeFloat32
	codeFloat64
	codeALaw
	codeMuLaw
)

// bytes is the size of a stored sample.
func (c coding) bytes() int {
	return [...]int{1, 2, 3, 4, 4, 8, 1, 1}[c]
}

// pcmCoding gives the coding of little-endian linear PCM.
func pcmCoding(bits int, float bool) (coding, error) {
	switch {
	case float && bits == 32:
		return codeFloat32, nil
	case float && bits == 64:
		return codeFloat64, nil
	case float:
		return 0, fmt.Errorf("%d-bit float samples are not supported: use 32 or 64 bits", bits)
	case bits >= 1 && bits <= 8:
		return codeUint8, nil
	case bits >= 9 && bits <= 16:
		return codeInt16, nil
	case bits >= 17 && bits <= 24:
		return codeInt24, nil
	case bits >= 25 && bits <= 32:
		return codeInt32, nil
	}
	return 0, fmt.Errorf("%d-bit samples are not supported: use 8, 16, 24 or 32 bits", bits)
}

// decode turns len(dst) samples of src into float32. The divisors are powers of
// two, so that integers of up to 24 bits are exact.
func (c coding) decode(dst []float32, src []byte) {
	le := binary.LittleEndian
	src = src[:len(dst)*c.bytes()]
	switch c {
	case codeUint8:
		for i, b := range src {
			dst[i] = float32(int(b)-128) / (1 << 7)
		}
	case codeInt16:
		for i := range dst {
			dst[i] = float32(int16(le.Uint16(src[2*i:]))) / (1 << 15)
		}
	case codeInt24:
		for i := range dst {
			b := src[3*i : 3*i+3]
			v := int32(b[0])<<8 | int32(b[1])<<16 | int32(b[2])<<24
			dst[i] = float32(v>>8) / (1 << 23)
		}
	case codeInt32:
		for i := range dst {
			dst[i] = float32(int32(le.Uint32(src[4*i:]))) / (1 << 31)
		}
	case codeFloat32:
		for i := range dst {
			dst[i] = finite(math.Float32frombits(le.Uint32(src[4*i:])))
		}
	case codeFloat64:
		for i := range dst {
			dst[i] = finite(float32(math.Float64frombits(le.Uint64(src[8*i:]))))
		}
	case codeALaw:
		for i, b := range src {
			dst[i] = float32(alaw(b)) / (1 << 15)
		}
	case codeMuLaw:
		for i, b := range src {
			dst[i] = float32(mulaw(b)) / (1 << 15)
		}
	}
}

// finite gives silence for what is no number: one NaN would stay in the state
// of every filter behind it.
func finite(v float32) float32 {
	if v-v != 0 {
		return 0
	}
	return v
}

// alaw expands ITU-T G.711 A-law to 16 bits.
func alaw(b byte) int16 {
	b ^= 0x55
	exp, v := b>>4&7, int16(b&15)<<4+8
	if exp > 0 {
		v = (v + 0x100) << (exp - 1)
	}
	if b&0x80 == 0 {
		return -v
	}
	return v
}

// mulaw expands ITU-T G.711 mu-law to 16 bits.
func mulaw(b byte) int16 {
	b = ^b
	v := (int16(b&15)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		return -v
	}
	return v
}

// quantize gives the integer of the given depth nearest to v (ties to even),
// clipped to its range; NaN gives 0.
func quantize(v float32, bits int) int32 {
	full := float64(int64(1) << (bits - 1))
	x := math.RoundToEven(float64(v) * full)
	switch {
	case x >= full-1:
		return int32(full - 1)
	case x <= -full:
		return int32(-full)
	case x != x:
		return 0
	}
	return int32(x)
}

// encode appends the stored form of src to dst.
func (c coding) encode(dst []byte, src []float32) []byte {
	le := binary.LittleEndian
	switch c {
	case codeUint8:
		for _, v := range src {
			dst = append(dst, byte(quantize(v, 8)+128))
		}
	case codeInt16:
		for _, v := range src {
			dst = le.AppendUint16(dst, uint16(quantize(v, 16)))
		}
	case codeInt24:
		for _, v := range src {
			q := quantize(v, 24)
			dst = append(dst, byte(q), byte(q>>8), byte(q>>16))
		}
	case codeInt32:
		for _, v := range src {
			dst = le.AppendUint32(dst, uint32(quantize(v, 32)))
		}
	case codeFloat32:
		for _, v := range src {
			dst = le.AppendUint32(dst, math.Float32bits(v))
		}
	case codeFloat64:
		for _, v := range src {
			dst = le.AppendUint64(dst, math.Float64bits(float64(v)))
		}
	}
	return dst
}

// pcmBytes is the size of the byte buffer of a pcmReader.
const pcmBytes = 1 << 15

// pcmReader decodes stored samples of a fixed size. A partial last frame is
// dropped.
type pcmReader struct {
	r      io.Reader
	format Format
	coding coding
	stride int   // bytes from one stored sample to the next, at least coding.bytes()
	frames int64 // declared, -1 when unknown
	buf    []byte
	err    error
}

// NewPCMReader reads headerless little-endian PCM. Bits 0 means 16; 8 bits are
// unsigned; Float takes 32 or 64 bits. Kind "alaw" or "mulaw" reads ITU-T G.711, as
// telephone systems have it.
func NewPCMReader(r io.Reader, f Format) (Reader, error) {
	g711 := map[string]coding{"alaw": codeALaw, "mulaw": codeMuLaw}[f.Kind]
	f.Kind = "pcm"
	if g711 != 0 {
		f.Bits, f.Float = 8, false
	}
	if f.Bits == 0 {
		f.Bits = 16
	}
	if err := f.validate(); err != nil {
		return nil, fmt.Errorf("raw PCM: %w", err)
	}
	c, err := pcmCoding(f.Bits, f.Float)
	if err != nil {
		return nil, fmt.Errorf("raw PCM: %w", err)
	}
	if g711 != 0 {
		c = g711
	}
	return newPCMReader(r, f, c, c.bytes(), -1), nil
}

func newPCMReader(r io.Reader, f Format, c coding, stride int, frames int64) *pcmReader {
	frame := stride * f.Channels
	return &pcmReader{
		r: r, format: f, coding: c, stride: stride, frames: frames,
		buf: make([]byte, pcmBytes/frame*frame),
	}
}

func (p *pcmReader) Format() Format { return p.format }
func (p *pcmReader) Frames() int64  { return p.frames }
func (p *pcmReader) Close() error   { return nil }

func (p *pcmReader) Read(dst []float32) (int, error) {
	ch := p.format.Channels
	if len(dst) < ch {
		return 0, errShortBuffer
	}
	if p.err != nil {
		return 0, p.err
	}
	frame := p.stride * ch
	want := min(len(p.buf), len(dst)/ch*frame)
	// One read, then what completes the last frame: live pipes must not wait for
	// a full buffer.
	n, err := io.ReadAtLeast(p.r, p.buf[:want], frame)
	if err == nil && n%frame != 0 {
		var m int
		m, err = io.ReadFull(p.r, p.buf[n:n+frame-n%frame])
		n += m
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	p.err = err
	n = n / frame * ch
	if n == 0 {
		return 0, err
	}
	b := p.buf[:n*p.stride]
	if size := p.coding.bytes(); p.stride != size {
		// The value is in the upper bytes of its container.
		for i := 0; i < n; i++ {
			copy(b[i*size:], b[(i+1)*p.stride-size:(i+1)*p.stride])
		}
	}
	p.coding.decode(dst[:n], b)
	return n, nil
}
