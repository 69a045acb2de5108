package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// WAVE format tags (mmreg.h).
const (
	wavePCM        = 1
	waveFloat      = 3
	waveALaw       = 6
	waveMuLaw      = 7
	waveExtensible = 0xfffe
)

// waveSubFormat is the tail of the GUIDs that carry a format tag in
// WAVE_FORMAT_EXTENSIBLE: KSDATAFORMAT_SUBTYPE_WAVEFORMATEX without its tag.
var waveSubFormat = []byte("\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71")

// isWAV recognises RIFF, and the 64-bit forms RF64 (EBU Tech 3306) and BW64
// (ITU-R BS.2088).
func isWAV(h []byte) bool {
	if len(h) < 12 || string(h[8:12]) != "WAVE" {
		return false
	}
	id := string(h[:4])
	return id == "RIFF" || id == "RF64" || id == "BW64"
}

// newWAVReader walks the chunks up to the samples. Nothing is allocated by what
// a header says.
func newWAVReader(s *source) (Reader, error) {
	var h [40]byte
	le := binary.LittleEndian
	read := func(n int64) ([]byte, error) {
		_, err := io.ReadFull(s.r, h[:n])
		s.pos += n
		return h[:n], err
	}
	b, err := read(12)
	if err != nil {
		return nil, err
	}
	riff := uint64(le.Uint32(b[4:]))
	wide := string(b[:4]) != "RIFF"

	var (
		f        Format
		c        coding
		stride   int
		data64   uint64
		haveFmt  bool
		haveDS64 bool
	)
	for {
		b, err := read(8)
		if err != nil {
			if haveFmt {
				return nil, errors.New("WAV file without a data chunk: it is cut off or holds no audio")
			}
			return nil, errors.New("WAV file without a fmt chunk: it is damaged or cut off")
		}
		id, size := string(b[:4]), int64(le.Uint32(b[4:8]))
		switch {
		case id == "ds64" && wide && size >= 24:
			if b, err = read(24); err != nil {
				return nil, errors.New("WAV file is cut off inside of its ds64 chunk")
			}
			riff, data64, haveDS64 = le.Uint64(b), le.Uint64(b[8:]), true
			size -= 24
		case id == "fmt " && !haveFmt:
			if size < 16 {
				return nil, fmt.Errorf("WAV fmt chunk of %d bytes is too short: the file is damaged", size)
			}
			n := min(size, int64(len(h)))
			if b, err = read(n); err != nil {
				return nil, errors.New("WAV file is cut off inside of its fmt chunk")
			}
			if f, c, stride, err = parseWAVFormat(b); err != nil {
				return nil, err
			}
			haveFmt = true
			size = size - n + size&1 // h has even length, so the pad byte still follows
		case id == "data":
			if !haveFmt {
				return nil, errors.New("WAV file without a fmt chunk before its data: it is damaged")
			}
			n := uint64(size)
			if haveDS64 && size == math.MaxUint32 {
				n = data64
			}
			return s.wavData(f, c, stride, dataSize(n, riff, uint64(s.pos))), nil
		default:
			size += size & 1
		}
		if err := s.discard(size); err != nil {
			return nil, fmt.Errorf("WAV file is cut off inside of its %q chunk, before any audio", id)
		}
	}
}

// parseWAVFormat reads a fmt chunk of 16 to 40 bytes.
func parseWAVFormat(b []byte) (f Format, c coding, stride int, err error) {
	le := binary.LittleEndian
	tag := le.Uint16(b)
	f = Format{
		Kind:       "wav",
		Channels:   int(le.Uint16(b[2:])),
		SampleRate: int(min(le.Uint32(b[4:]), math.MaxInt32)),
		Bits:       int(le.Uint16(b[14:])),
	}
	align := int(le.Uint16(b[12:]))
	if tag == waveExtensible {
		if len(b) < 40 || !bytes.Equal(b[26:40], waveSubFormat) {
			return f, 0, 0, errors.New("WAV file has an unknown extensible format: convert it to plain PCM")
		}
		tag = le.Uint16(b[24:])
	}
	if err = f.validate(); err != nil {
		return f, 0, 0, fmt.Errorf("WAV header is damaged: %w", err)
	}
	switch tag {
	case wavePCM, waveFloat:
		f.Float = tag == waveFloat
		c, err = pcmCoding(f.Bits, f.Float)
	case waveALaw, waveMuLaw:
		c = codeALaw
		if tag == waveMuLaw {
			c = codeMuLaw
		}
		if f.Bits != 8 {
			err = fmt.Errorf("WAV header is damaged: G.711 with %d bits a sample", f.Bits)
		}
	default:
		err = fmt.Errorf("WAV file has compressed audio (format 0x%04x), which is not read here: convert it: %s",
			tag, "ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav")
	}
	if err != nil {
		return f, 0, 0, err
	}
	stride = align / f.Channels
	if align%f.Channels != 0 || stride < c.bytes() || stride > 8 {
		// Some writers leave the block size empty or wrong; the rest says enough.
		stride = c.bytes()
	}
	return f, c, stride, nil
}

// dataSize is the true size of a data chunk that starts at byte pos, -1 for "to
// the end". Streams are written with placeholders: all ones, or 0 while the
// RIFF size does not reach past the header either. A size of 0 with a RIFF size
// that does is an empty clip with other chunks behind it.
func dataSize(size, riff, pos uint64) int64 {
	switch {
	case size >= math.MaxInt64, size == math.MaxUint32:
		return -1
	case size == 0 && (riff == math.MaxUint32 || riff+8 <= pos):
		return -1
	}
	return int64(size)
}

// streamed is the least data size that may be a placeholder: programs that
// write to a pipe put there about the most that fits 31 or 32 bits.
const streamed = 0x7fff0000

// wavData gives the reader of a data chunk of the given size.
func (s *source) wavData(f Format, c coding, stride int, size int64) Reader {
	frame := int64(stride * f.Channels)
	declared := size / frame
	placeholder := size < 0 || size >= streamed && size <= math.MaxUint32
	if rest := s.remaining(); rest >= 0 && (size < 0 || size > rest) {
		size = rest
	}
	if size < 0 {
		return newPCMReader(s.r, f, c, stride, -1)
	}
	frames := size / frame
	r := newPCMReader(io.LimitReader(s.r, frames*frame), f, c, stride, frames)
	if placeholder {
		return r
	}
	return &wavReader{r, declared, declared}
}

// wavReader ends with an error where samples that the header declares are not
// there.
type wavReader struct {
	*pcmReader
	declared, missing int64 // sample frames
}

func (w *wavReader) Read(dst []float32) (int, error) {
	n, err := w.pcmReader.Read(dst)
	w.missing -= int64(n / w.format.Channels)
	if err == io.EOF && w.missing > 0 {
		err = fmt.Errorf("WAV file is cut off: the last %d of %d samples are missing", w.missing, w.declared)
	}
	return n, err
}
