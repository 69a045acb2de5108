package codec

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Writer writes a .sotto file to a stream; nothing is patched afterwards, so
// the stream may be a pipe. It is not safe for concurrent use.
type Writer struct {
	w            io.Writer
	h            Header
	pk           packing
	packetFrames int
	entropy      *Entropy  // nil: payloads are bit-packed
	pending      [][]int32 // a channel: fewer than packetFrames frames
	buf          []byte
	payload      []byte
	offset       int64
	sequence     uint32
	frames       int64 // in packets written
	index        seekIndex
	err          error // sticky
}

// WriterOption changes how a Writer works.
type WriterOption func(*Writer)

// WithPacketFrames sets the number of frames a packet, 1 to MaxPacketFrames;
// other values are brought into that range. Shorter packets lose less when one
// is damaged and add less delay; each costs 24 bytes. The default is one second.
func WithPacketFrames(n int) WriterOption {
	return func(w *Writer) { w.packetFrames = n }
}

// WithEntropy codes the payloads with a network, which must be for the weights
// that the header names: fewer bytes for the same tokens. Readers need the
// network too.
func WithEntropy(e *Entropy) WriterOption {
	return func(w *Writer) { w.entropy = e }
}

// NewWriter writes the file header. h.Samples is what is known of the length
// beforehand: Close gives the final one.
func NewWriter(w io.Writer, h Header, opts ...WriterOption) (*Writer, error) {
	if err := h.validate(); err != nil {
		return nil, fmt.Errorf("codec: header: %w", err)
	}
	h = h.clone()
	wr := &Writer{
		w:            w,
		h:            h,
		pk:           newPacking(h.CodebookSizes),
		packetFrames: (h.ModelRate + h.HopLength/2) / h.HopLength,
		pending:      make([][]int32, h.Channels),
	}
	for _, opt := range opts {
		opt(wr)
	}
	wr.h.Entropy = Fingerprint{}
	if wr.entropy != nil {
		if err := wr.entropy.knows(&wr.h); err != nil {
			return nil, err
		}
		wr.h.Entropy = wr.entropy.id
	}
	most := 8 * maxPayload / (h.Channels * wr.pk.frameBits)
	wr.packetFrames = max(1, min(wr.packetFrames, MaxPacketFrames, most))
	wr.buf = wr.h.append(wr.buf)
	return wr, wr.flushBuffer()
}

// WriteFrames takes any number of frames, the same for every channel:
// channels[c] is frame-major [frames][codebooks]. Full packets are written at
// once, the rest waits for more. Codes outside their codebook are refused
// before anything is written.
func (w *Writer) WriteFrames(channels [][]int32) error {
	if w.err != nil {
		return w.err
	}
	if len(channels) != w.h.Channels {
		return fmt.Errorf("codec: %d channels of codes for a file of %d", len(channels), w.h.Channels)
	}
	codebooks := len(w.h.CodebookSizes)
	for c, codes := range channels {
		if len(codes) != len(channels[0]) || len(codes)%codebooks != 0 {
			return fmt.Errorf("codec: channel %d has %d codes: every channel needs the same number of frames of %d codes", c, len(codes), codebooks)
		}
		if err := w.pk.check(codes); err != nil {
			return fmt.Errorf("codec: channel %d: %w", c, err)
		}
	}
	full := w.packetFrames * codebooks
	for at := 0; at < len(channels[0]); {
		n := min(full-len(w.pending[0]), len(channels[0])-at)
		for c, codes := range channels {
			w.pending[c] = append(w.pending[c], codes[at:at+n]...)
		}
		at += n
		if len(w.pending[0]) == full {
			if err := w.writePacket(); err != nil {
				return err
			}
		}
	}
	return nil
}

// writePacket writes the pending frames as one packet with one Write.
func (w *Writer) writePacket() error {
	frames := len(w.pending[0]) / len(w.h.CodebookSizes)
	if w.sequence == math.MaxUint32 || w.frames+int64(frames) > maxFrames {
		w.err = errors.New("codec: the file is full: start another one")
		return w.err
	}
	if w.entropy != nil {
		w.payload = w.entropy.encode(w.payload[:0], &w.pk, w.pending)
	} else {
		w.payload = w.pk.pack(w.payload[:0], w.pending)
	}
	p := packetHeader{w.sequence, w.frames, frames, len(w.payload), checksum(w.payload)}
	w.index.add(indexEntry{p.sequence, p.first, w.offset})
	w.buf = append(p.append(w.buf), w.payload...)
	for c := range w.pending {
		w.pending[c] = w.pending[c][:0]
	}
	w.sequence++
	w.frames += int64(frames)
	return w.flushBuffer()
}

func (w *Writer) flushBuffer() error {
	n, err := w.w.Write(w.buf)
	w.offset += int64(n)
	w.buf = w.buf[:0]
	if err != nil {
		w.err = fmt.Errorf("codec: writing: %w", err)
	}
	return w.err
}

// Close writes the frames that still wait and the footer with the final number
// of samples a channel at the original rate. It does not close the stream.
func (w *Writer) Close(samples int64) error {
	if w.err != nil {
		return w.err
	}
	frames := w.frames + int64(len(w.pending[0])/len(w.h.CodebookSizes))
	if samples < 0 || !w.h.holds(frames+1, samples) {
		return fmt.Errorf("codec: %d samples do not fit %d frames of %d samples at %d Hz", samples, frames, w.h.HopLength, w.h.ModelRate)
	}
	if len(w.pending[0]) > 0 {
		if err := w.writePacket(); err != nil {
			return err
		}
	}
	end := endRecord{w.sequence, w.frames, samples, len(w.index.entries)}
	w.buf = end.append(w.buf)
	w.buf = w.index.append(w.buf)
	w.buf = end.append(w.buf)
	if err := w.flushBuffer(); err != nil {
		return err
	}
	w.err = errors.New("codec: the writer is closed")
	return nil
}
