package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	goaudio "github.com/go-audio/audio"
	gowav "github.com/go-audio/wav"
)

// maxGoAudioBuffer bounds the buffer that go-audio/wav allocates for one minute
// of sound, in bytes.
const maxGoAudioBuffer = 32 << 20

// NewWAVWriter writes WAV with Bits of 16 (the default) or 24, or 32 with
// Float. Where w can seek (to its own byte 0), Close puts the sizes into the
// header; elsewhere they are 0xFFFFFFFF, as streaming writers do.
//
// Integer samples on a file go through github.com/go-audio/wav; they end at
// 4 GiB with an error. Floats on a file turn into RF64 past 4 GiB, and a pipe
// has no end.
func NewWAVWriter(w io.Writer, f Format) (Writer, error) {
	if f.Bits == 0 {
		f.Bits = 16
	}
	if err := f.validate(); err != nil {
		return nil, fmt.Errorf("WAV: %w", err)
	}
	switch {
	case f.Float && f.Bits == 32, !f.Float && (f.Bits == 16 || f.Bits == 24):
	default:
		return nil, fmt.Errorf("WAV of %d bits (float: %t) is not written here: use 16, 24 or 32-bit float", f.Bits, f.Float)
	}
	ws, seekable := w.(io.WriteSeeker)
	if seekable {
		// A terminal or pipe is an *os.File too, but cannot seek.
		_, err := ws.Seek(0, io.SeekCurrent)
		seekable = err == nil
	}
	minute := 60 * f.SampleRate * f.Channels * f.Bits / 8
	switch {
	case seekable && !f.Float && minute <= maxGoAudioBuffer:
		return newIntFileWriter(ws, f)
	case seekable:
		return newStreamWriter(w, ws, f)
	}
	return newStreamWriter(w, nil, f)
}

// intFileWriter writes integer PCM to a file through go-audio/wav.
type intFileWriter struct {
	enc   *gowav.Encoder
	buf   goaudio.IntBuffer
	bytes int64 // of samples
}

// maxIntBytes is what fits below the 32-bit sizes of RIFF, the header and a pad
// byte included.
const maxIntBytes = math.MaxUint32 - 64

func newIntFileWriter(w io.WriteSeeker, f Format) (Writer, error) {
	iw := &intFileWriter{
		buf: goaudio.IntBuffer{Format: &goaudio.Format{NumChannels: f.Channels, SampleRate: f.SampleRate}, SourceBitDepth: f.Bits},
	}
	iw.enc = gowav.NewEncoder(noSync{w}, f.SampleRate, f.Bits, f.Channels, wavePCM)
	// The encoder writes its header with the first buffer; an empty clip needs
	// one too.
	return iw, iw.enc.Write(&iw.buf)
}

// noSync hides that a file is one, so that closing an encoder does not wait
// for the disk.
type noSync struct{ io.WriteSeeker }

func (w *intFileWriter) Write(x []float32) error {
	bits := w.buf.SourceBitDepth
	if w.bytes += int64(len(x) * bits / 8); w.bytes > maxIntBytes {
		return errors.New("a WAV file of integers ends at 4 GiB: write FLAC, 32-bit float or to a pipe")
	}
	for len(x) > 0 {
		n := min(len(x), 4096*w.buf.Format.NumChannels)
		w.buf.Data = w.buf.Data[:0]
		for _, v := range x[:n] {
			w.buf.Data = append(w.buf.Data, int(quantize(v, bits)))
		}
		if err := w.enc.Write(&w.buf); err != nil {
			return err
		}
		x = x[n:]
	}
	return nil
}

func (w *intFileWriter) Close() error {
	// A chunk of odd length is followed by a pad byte.
	if w.bytes&1 != 0 {
		if err := w.enc.AddLE(uint8(0)); err != nil {
			return err
		}
	}
	return w.enc.Close()
}

// streamWriter writes any of our formats to a pipe, and floats to a file.
type streamWriter struct {
	w      io.Writer
	seeker io.WriteSeeker // nil on a pipe
	format Format
	coding coding
	bytes  uint64 // of samples
	buf    []byte
}

func newStreamWriter(w io.Writer, seeker io.WriteSeeker, f Format) (Writer, error) {
	c, err := pcmCoding(f.Bits, f.Float)
	if err != nil {
		return nil, err
	}
	sw := &streamWriter{w: w, seeker: seeker, format: f, coding: c}
	_, err = w.Write(sw.header(math.MaxUint64))
	return sw, err
}

// header gives the bytes before the samples. On a file there is room for the
// 64-bit sizes of RF64 (EBU Tech 3306), as a JUNK chunk while they are not
// needed. A size of MaxUint64 is unknown.
func (w *streamWriter) header(size uint64) []byte {
	le := binary.LittleEndian
	f, c := w.format, w.coding
	b := make([]byte, 0, 96)
	b = append(b, "RIFF\xff\xff\xff\xffWAVE"...)
	if w.seeker != nil {
		b = append(b, "JUNK\x1c\x00\x00\x00"...)
		b = append(b, make([]byte, 28)...)
	}
	tag := uint16(wavePCM)
	if f.Float {
		tag = waveFloat
	}
	block := f.Channels * c.bytes()
	b = append(b, "fmt \x10\x00\x00\x00"...)
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, uint16(f.Channels))
	b = le.AppendUint32(b, uint32(f.SampleRate))
	b = le.AppendUint32(b, uint32(f.SampleRate*block))
	b = le.AppendUint16(b, uint16(block))
	b = le.AppendUint16(b, uint16(8*c.bytes()))
	b = append(b, "data\xff\xff\xff\xff"...)
	if size == math.MaxUint64 {
		return b
	}
	riff := uint64(len(b)) - 8 + size + size&1
	if riff < math.MaxUint32 {
		le.PutUint32(b[4:], uint32(riff))
		le.PutUint32(b[len(b)-4:], uint32(size))
		return b
	}
	copy(b, "RF64")
	copy(b[12:], "ds64")
	le.PutUint64(b[20:], riff)
	le.PutUint64(b[28:], size)
	le.PutUint64(b[36:], size/uint64(block))
	return b
}

func (w *streamWriter) Write(x []float32) error {
	for len(x) > 0 {
		n := min(len(x), 4096)
		w.buf = w.coding.encode(w.buf[:0], x[:n])
		if _, err := w.w.Write(w.buf); err != nil {
			return err
		}
		w.bytes += uint64(len(w.buf))
		x = x[n:]
	}
	return nil
}

func (w *streamWriter) Close() error {
	if w.seeker == nil {
		return nil
	}
	if w.bytes&1 != 0 {
		if _, err := w.w.Write([]byte{0}); err != nil {
			return err
		}
	}
	if _, err := w.seeker.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := w.w.Write(w.header(w.bytes)); err != nil {
		return err
	}
	_, err := w.seeker.Seek(0, io.SeekEnd)
	return err
}
