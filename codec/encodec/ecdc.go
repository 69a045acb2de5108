package encodec

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// Header is that of an .ecdc file, EnCodec's own format: "ECDC", version 0, the
// length of a JSON text (all big endian) and this text; for each segment its level
// as a float32, where the model has levels, and its codes, time after time, as
// bits from the lowest up.
type Header struct {
	Model         string `json:"m"`  // such as "encodec_24khz"
	Samples       int64  `json:"al"` // a channel
	Codebooks     int    `json:"nc"`
	LanguageModel bool   `json:"lm"` // codes are coded with the probabilities of one
}

// Magic begins an .ecdc file.
const Magic = "ECDC"

// maxHeader bounds the JSON text, maxSamples the length: 1,000 hours.
const (
	maxHeader  = 1 << 16
	maxSamples = 1000 * 3600 * 48000
)

// ErrFormat says that the input is not a readable .ecdc file.
var ErrFormat = errors.New("not a readable .ecdc file")

// ReadHeader reads the header of an .ecdc file.
func ReadHeader(r io.Reader) (Header, error) {
	var h Header
	var fixed [9]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil || string(fixed[:4]) != Magic {
		return h, fmt.Errorf("%w: it does not begin with %s", ErrFormat, Magic)
	}
	if fixed[4] != 0 {
		return h, fmt.Errorf("%w: version %d, this program reads version 0", ErrFormat, fixed[4])
	}
	n := binary.BigEndian.Uint32(fixed[5:])
	if n > maxHeader {
		return h, fmt.Errorf("%w: a header of %d bytes", ErrFormat, n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, fmt.Errorf("%w: its header is cut off", ErrFormat)
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("%w: its header: %w", ErrFormat, err)
	}
	if h.Samples < 0 || h.Samples > maxSamples || h.Codebooks < 1 || h.Codebooks > 64 {
		return h, fmt.Errorf("%w: %d samples in %d codebooks", ErrFormat, h.Samples, h.Codebooks)
	}
	return h, nil
}

// ECDCName is what .ecdc files call the model.
func (m *Model) ECDCName() string { return fmt.Sprintf("encodec_%dkhz", m.sampleRate/1000) }

// WriteECDC writes segments of a signal of that many samples a channel.
func (m *Model) WriteECDC(w io.Writer, samples int64, segments []Segment) error {
	if len(segments) == 0 {
		return errors.New("encodec: an .ecdc file needs at least one sample")
	}
	return m.writeECDC(w, samples, segments, false, func(seg Segment) []byte { return pack(seg.Codes, m.codeBits()) })
}

// writeECDC writes header, levels and codes as coded by code.
func (m *Model) writeECDC(w io.Writer, samples int64, segments []Segment, lm bool, code func(Segment) []byte) error {
	// The spaces are those of the original.
	text := fmt.Sprintf(`{"m": "%s", "al": %d, "nc": %d, "lm": %t}`, m.ECDCName(), samples, segments[0].Codebooks, lm)
	b := bufio.NewWriter(w)
	b.WriteString(Magic)
	b.WriteByte(0)
	binary.Write(b, binary.BigEndian, uint32(len(text)))
	b.WriteString(text)
	for _, seg := range segments {
		if m.normalize {
			binary.Write(b, binary.BigEndian, seg.Scale)
		}
		b.Write(code(seg))
	}
	return b.Flush()
}

// codeBits is the number of bits of a code.
func (m *Model) codeBits() int { return bits.Len(uint(m.size - 1)) }

// pack lays codes of n bits one after the other, each from its lowest bit up.
func pack(codes []int32, n int) []byte {
	out := make([]byte, 0, (len(codes)*n+7)/8)
	var hold uint64
	held := 0
	for _, c := range codes {
		hold |= uint64(c) << held
		for held += n; held >= 8; held -= 8 {
			out = append(out, byte(hold))
			hold >>= 8
		}
	}
	if held > 0 {
		out = append(out, byte(hold))
	}
	return out
}

// unpacker reads what pack wrote.
type unpacker struct {
	r    io.ByteReader
	hold uint64
	held int
}

func (u *unpacker) next(n int) (int32, error) {
	for u.held < n {
		c, err := u.r.ReadByte()
		if err != nil {
			return 0, fmt.Errorf("%w: it is cut off", ErrFormat)
		}
		u.hold |= uint64(c) << u.held
		u.held += 8
	}
	c := int32(u.hold & (1<<n - 1))
	u.hold >>= n
	u.held -= n
	return c, nil
}

// ReadECDC reads what follows the header. Files that a language model coded need
// it, see ReadECDCWith.
func (m *Model) ReadECDC(r io.Reader, h Header) ([]Segment, error) {
	if h.LanguageModel {
		return nil, errors.New("the file is coded with the probabilities of a language model: give it with --lm")
	}
	return m.readECDC(r, h, func(b *bufio.Reader, frames int) ([]int32, error) {
		u := &unpacker{r: b}
		var codes []int32
		for range frames * h.Codebooks {
			c, err := u.next(m.codeBits())
			if err != nil {
				return nil, err
			}
			codes = append(codes, c)
		}
		return codes, nil
	})
}

// readECDC reads levels, and codes with decode.
func (m *Model) readECDC(r io.Reader, h Header, decode func(b *bufio.Reader, frames int) ([]int32, error)) ([]Segment, error) {
	if h.Model != m.ECDCName() {
		return nil, fmt.Errorf("the file was made with %s, the model at hand is %s: give that one with --model", h.Model, m.ECDCName())
	}
	if _, err := m.net.Width(h.Codebooks); err != nil {
		return nil, err
	}
	b, ok := r.(*bufio.Reader)
	if !ok {
		b = bufio.NewReader(r)
	}
	length, stride := m.lengths(h.Samples)
	var all []Segment
	for at := int64(0); at < h.Samples; at += stride {
		n := min(length, h.Samples-at)
		seg := Segment{}
		seg.Codebooks, seg.Frames = h.Codebooks, int((n+int64(m.net.Hop)-1)/int64(m.net.Hop))
		if m.normalize {
			if err := binary.Read(b, binary.BigEndian, &seg.Scale); err != nil {
				return nil, fmt.Errorf("%w: it is cut off", ErrFormat)
			}
			if s := float64(seg.Scale); !(s > 0) || math.IsInf(s, 0) {
				return nil, fmt.Errorf("%w: segment %d has the level %g", ErrFormat, len(all), s)
			}
		}
		var err error
		if seg.Codes, err = decode(b, seg.Frames); err != nil {
			return nil, err
		}
		all = append(all, seg)
	}
	return all, nil
}
