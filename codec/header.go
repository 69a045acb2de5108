package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Bounds of the .sotto format; FORMAT.md gives the layout that they belong to.
const (
	MaxChannels     = 255     // channels in one file
	MaxCodebooks    = 64      // codebooks a frame
	MaxPacketFrames = 4096    // frames in one packet
	maxCodebookSize = 1 << 24 // entries of one codebook
	maxRate         = 1 << 22 // Hz
	maxHop          = 1 << 16 // samples
	maxFrames       = 1<<40 - 1
	maxPayload      = 1 << 20 // bytes
)

const (
	formatVersion = 1
	modePacked    = 0
	modeEntropy   = 1
	headerFixed   = 45 // bytes before the codebook sizes
	headerMin     = headerFixed + 4 + 1 + 1 + 4
)

// magic starts with a byte above 127 and holds both line ends and the DOS end
// of file, so that a transfer in text mode cannot go unnoticed.
var magic = []byte("\x89SOTTO\r\n\x1a\n")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Header describes a .sotto file: the model that made the tokens and the
// original signal, so that decoding can give back its exact shape.
type Header struct {
	Model         string      // version name of the weights, 1 to 255 bytes
	Fingerprint   Fingerprint // of the weights
	ModelRate     int         // Hz, at which the model runs
	HopLength     int         // samples a frame at ModelRate
	SampleRate    int         // Hz, of the original
	Channels      int         // of the original
	Bits          int         // sample depth of the original, 0 unknown
	Samples       int64       // a channel at SampleRate, -1 unknown
	CodebookSizes []int       // entries of each codebook, in the order of a frame's codes
	Entropy       Fingerprint // of the network that codes the payloads; zero: bit-packed
}

// CheckWeights returns a *WeightsError unless the model's weights are those
// that made the tokens.
func (h *Header) CheckWeights(model Info) error {
	if h.Fingerprint == model.Fingerprint {
		return nil
	}
	return &WeightsError{NeedName: h.Model, Need: h.Fingerprint, HaveName: model.Name, Have: model.Fingerprint}
}

// validate holds every field to the bounds of the format.
func (h *Header) validate() error {
	within := func(what string, v, low, high int) error {
		if v < low || v > high {
			return fmt.Errorf("%s %d lies outside %d..%d", what, v, low, high)
		}
		return nil
	}
	if len(h.Model) < 1 || len(h.Model) > 255 || !utf8.ValidString(h.Model) {
		return errors.New("the model name must be 1 to 255 bytes of UTF-8")
	}
	for _, r := range h.Model {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("the model name %q holds unprintable characters", h.Model)
		}
	}
	if err := errors.Join(
		within("model rate", h.ModelRate, 1, maxRate),
		within("sample rate", h.SampleRate, 1, maxRate),
		within("hop length", h.HopLength, 1, maxHop),
		within("number of channels", h.Channels, 1, MaxChannels),
		within("sample depth", h.Bits, 0, 255),
		within("number of codebooks", len(h.CodebookSizes), 1, MaxCodebooks),
	); err != nil {
		return err
	}
	for i, size := range h.CodebookSizes {
		if err := within(fmt.Sprintf("size of codebook %d:", i), size, 2, maxCodebookSize); err != nil {
			return err
		}
	}
	if h.Samples < -1 {
		return fmt.Errorf("number of samples %d is negative", h.Samples)
	}
	return nil
}

// holds reports whether that many frames can carry that many samples, give or
// take one sample of rounding in the resampler.
func (h *Header) holds(frames, samples int64) bool {
	hi1, lo1 := bits.Mul64(uint64(max(samples-1, 0)), uint64(h.ModelRate))
	hi2, lo2 := bits.Mul64(uint64(frames)*uint64(h.HopLength), uint64(h.SampleRate))
	return hi1 < hi2 || hi1 == hi2 && lo1 <= lo2
}

// coded reports whether payloads are entropy-coded.
func (h *Header) coded() bool { return h.Entropy != Fingerprint{} }

// append writes the file header (FORMAT.md, "File header").
func (h *Header) append(dst []byte) []byte {
	start := len(dst)
	be := binary.BigEndian
	dst = append(dst, magic...)
	size, mode := headerFixed+4*len(h.CodebookSizes)+1+len(h.Model)+4, byte(modePacked)
	if h.coded() {
		size, mode = size+len(h.Entropy), modeEntropy
	}
	dst = append(dst, formatVersion, mode)
	dst = be.AppendUint16(dst, uint16(size))
	dst = append(dst, h.Fingerprint[:]...)
	dst = be.AppendUint32(dst, uint32(h.ModelRate))
	dst = be.AppendUint32(dst, uint32(h.SampleRate))
	dst = be.AppendUint32(dst, uint32(h.HopLength))
	dst = append(dst, byte(h.Channels), byte(h.Bits))
	dst = be.AppendUint64(dst, uint64(h.Samples)) // -1 is all ones
	dst = append(dst, byte(len(h.CodebookSizes)))
	for _, size := range h.CodebookSizes {
		dst = be.AppendUint32(dst, uint32(size))
	}
	dst = append(dst, byte(len(h.Model)))
	dst = append(dst, h.Model...)
	if h.coded() {
		dst = append(dst, h.Entropy[:]...)
	}
	return be.AppendUint32(dst, checksum(dst[start:]))
}

// readHeader reads and checks the file header at the start of w.
func readHeader(w *window) (h Header, err error) {
	b, err := w.peek(14)
	if err != nil && err != io.EOF {
		return h, err
	}
	n := min(len(b), len(magic))
	switch {
	case len(b) == 0:
		return h, fmt.Errorf("%w: the input is empty", ErrFormat)
	case n < len(magic) && bytes.Equal(b[:n], magic[:n]):
		return h, fmt.Errorf("%w: cut off inside the header", ErrFormat)
	case n >= 6 && !bytes.Equal(b[:n], magic[:n]) && bytes.Equal(b[1:6], magic[1:6]):
		return h, fmt.Errorf("%w: the magic is damaged, as by a transfer in text mode: copy the file in binary mode", ErrFormat)
	case !bytes.Equal(b[:n], magic[:n]):
		return h, fmt.Errorf("%w: the magic is missing", ErrFormat)
	case len(b) < 14:
		return h, fmt.Errorf("%w: cut off inside the header", ErrFormat)
	}
	if b[10] != formatVersion || b[11] > modeEntropy {
		return h, &VersionError{Version: int(b[10]), Mode: int(b[11])}
	}
	be, coded := binary.BigEndian, b[11] == modeEntropy
	size := int(be.Uint16(b[12:]))
	if size < headerMin {
		return h, fmt.Errorf("%w: header length %d is too small", ErrFormat, size)
	}
	b, err = w.peek(size)
	if err == io.EOF {
		return h, fmt.Errorf("%w: cut off inside the header", ErrFormat)
	} else if err != nil {
		return h, err
	}
	if be.Uint32(b[size-4:]) != checksum(b[:size-4]) {
		return h, fmt.Errorf("%w: the header checksum differs: the header is damaged", ErrFormat)
	}
	h = Header{
		ModelRate:  int(be.Uint32(b[22:])),
		SampleRate: int(be.Uint32(b[26:])),
		HopLength:  int(be.Uint32(b[30:])),
		Channels:   int(b[34]),
		Bits:       int(b[35]),
		Samples:    int64(be.Uint64(b[36:])),
	}
	copy(h.Fingerprint[:], b[14:])
	codebooks := int(b[44])
	rest := b[45 : size-4]
	if codebooks > MaxCodebooks || len(rest) < 4*codebooks+1 {
		return h, fmt.Errorf("%w: %d codebooks do not fit the header", ErrFormat, codebooks)
	}
	h.CodebookSizes = make([]int, codebooks)
	for i := range h.CodebookSizes {
		h.CodebookSizes[i] = int(be.Uint32(rest[4*i:]))
	}
	rest = rest[4*codebooks:]
	// What may follow the name belongs to later versions of the format.
	if n := int(rest[0]); n < len(rest) {
		h.Model = string(rest[1 : 1+n])
		rest = rest[1+n:]
	} else {
		rest = nil
	}
	if coded && (copy(h.Entropy[:], rest) < len(h.Entropy) || !h.coded()) {
		return h, fmt.Errorf("%w: the header names no entropy coder", ErrFormat)
	}
	if err := h.validate(); err != nil {
		return h, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	w.discard(size)
	return h, nil
}

// clone returns a copy that shares nothing with h.
func (h Header) clone() Header {
	h.CodebookSizes = slices.Clone(h.CodebookSizes)
	return h
}
