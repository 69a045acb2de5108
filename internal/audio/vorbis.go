package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/jfreymuth/oggvorbis"
)

// Bounds on Ogg streams. Covers in comments can take megabytes; a packet of
// sound cannot.
const (
	maxVorbisHeaders = 16 << 20
	maxVorbisPacket  = 1 << 20
)

// vorbisReader decodes Ogg Vorbis through github.com/jfreymuth/oggvorbis. That
// decoder trusts its input, so headers are checked first and the sizes of
// packets watched.
type vorbisReader struct {
	src    *source
	dec    *oggvorbis.Reader
	format Format
	frames int64
	err    error
}

func newOggReader(s *source, file string) (Reader, error) {
	head, _ := s.r.Peek(sniffBytes)
	if len(head) < 28 || len(head) < 27+int(head[26]) {
		return nil, errors.New("the Ogg file is cut off inside of its first page")
	}
	p := head[27+int(head[26]):]
	switch {
	case bytes.HasPrefix(p, []byte("\x01vorbis")):
	case bytes.HasPrefix(p, []byte("OpusHead")):
		return newOpusReader(s, file)
	case bytes.HasPrefix(p, []byte("\x7fFLAC")):
		return nil, useFFmpeg("FLAC inside of Ogg", file)
	case bytes.HasPrefix(p, []byte("Speex   ")):
		return nil, useFFmpeg("Ogg Speex", file)
	case bytes.HasPrefix(p, []byte("\x80theora")), bytes.HasPrefix(p, []byte("fishead\x00")):
		return nil, useFFmpeg("an Ogg video or multiplexed Ogg file", file)
	default:
		return nil, useFFmpeg("an Ogg file of an unknown codec", file)
	}
	r := &vorbisReader{src: s, frames: s.oggFrames(head)}
	f, err := r.link()
	r.format = f
	return r, err
}

// link opens the Vorbis stream that starts here.
func (r *vorbisReader) link() (f Format, err error) {
	defer recoverInto(&err, "Ogg Vorbis")
	pages := &oggPages{r: r.src.r}
	raw, err := pages.headers()
	if err != nil {
		return f, fmt.Errorf("the Ogg Vorbis header is damaged: %w", err)
	}
	dec, err := oggvorbis.NewReader(io.MultiReader(bytes.NewReader(raw), pages))
	switch {
	case err == io.ErrUnexpectedEOF:
		return f, errors.New("the Ogg Vorbis file is cut off at its start")
	case err != nil && err != io.EOF:
		return f, fmt.Errorf("the Ogg Vorbis file is damaged: %w", err)
	case err != nil: // headers without sound
		r.err = io.EOF
		id := raw[27+int(raw[26]):]
		return Format{
			SampleRate: int(binary.LittleEndian.Uint32(id[12:])), Channels: int(id[11]), Kind: "vorbis",
		}, nil
	}
	r.dec = dec
	return Format{SampleRate: dec.SampleRate(), Channels: dec.Channels(), Kind: "vorbis"}, nil
}

func (r *vorbisReader) Format() Format { return r.format }
func (r *vorbisReader) Frames() int64  { return r.frames }
func (r *vorbisReader) Close() error   { return nil }

func (r *vorbisReader) Read(dst []float32) (n int, err error) {
	if len(dst) < r.format.Channels {
		return 0, errShortBuffer
	}
	for n == 0 {
		if r.err != nil {
			return 0, r.err
		}
		n, r.err = r.decode(dst)
		if r.err == io.EOF {
			r.err = r.nextLink()
		}
	}
	return n, nil
}

func (r *vorbisReader) decode(dst []float32) (n int, err error) {
	defer recoverInto(&err, "Ogg Vorbis")
	n, err = r.dec.Read(dst)
	for i, v := range dst[:n] {
		dst[i] = finite(v) // damaged floors and residues can overflow
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the Ogg Vorbis file is cut off")
	} else if err != nil && err != io.EOF {
		err = fmt.Errorf("the Ogg Vorbis file is damaged: %w", err)
	}
	return n, err
}

// nextLink goes on with the next stream of a chained file; io.EOF when there is
// none.
func (r *vorbisReader) nextLink() error {
	h, _ := r.src.r.Peek(6)
	if len(h) < 6 || string(h[:4]) != "OggS" || h[5]&2 == 0 {
		return io.EOF
	}
	f, err := r.link()
	if err == nil && f != r.format {
		err = errors.New("the Ogg file changes its rate or channels between its parts: split it first")
	}
	if err == nil {
		err = r.err
		if err == io.EOF && r.dec != nil {
			err = nil
		}
	}
	return err
}

// oggFrames reads the number of samples from the last page of a file whose
// first page starts head: -1 on a pipe or when the file holds several streams.
func (s *source) oggFrames(head []byte) int64 {
	const window = 1 << 16
	if s.at == nil || s.size < 0 {
		return -1
	}
	b := make([]byte, min(s.size, window))
	if _, err := s.at.ReadAt(b, s.size-int64(len(b))); err != nil && err != io.EOF {
		return -1
	}
	for i := bytes.LastIndex(b, []byte("OggS")); i >= 0; i = bytes.LastIndex(b[:i], []byte("OggS")) {
		if len(b)-i < 27 {
			continue
		}
		if !bytes.Equal(b[i+14:i+18], head[14:18]) {
			return -1
		}
		if n := int64(binary.LittleEndian.Uint64(b[i+6:])); n >= 0 {
			return n
		}
	}
	return -1
}

// oggPages hands over whole Ogg pages (RFC 3533 section 6), and ends with an
// error at pages and packets that the decoder does not bear.
type oggPages struct {
	r      io.Reader
	page   []byte // the current one
	rest   []byte // of it, not given yet
	packet int    // bytes of the packet that the pages so far left open
	last   bool   // the page ends the stream
	opus   bool   // pages may be empty
}

// next reads a page. It ends with the stream: the decoder would read on into the
// next.
func (o *oggPages) next() error {
	if o.last {
		return io.EOF
	}
	o.page = append(o.page[:0], make([]byte, 27+255)...)
	h := o.page
	if _, err := io.ReadFull(o.r, h[:27]); err != nil {
		return err
	}
	if string(h[:4]) != "OggS" {
		return errors.New("a page does not start where it should")
	}
	o.last = h[5]&4 != 0
	segments := int(h[26])
	if segments == 0 && !o.opus {
		return errors.New("a page is empty")
	}
	size := 0
	if _, err := io.ReadFull(o.r, h[27:27+segments]); err != nil {
		return unexpectedEOF(err)
	}
	for _, s := range h[27 : 27+segments] {
		size += int(s)
		o.packet += int(s)
		if s < 255 {
			o.packet = 0
		}
	}
	if o.packet > maxVorbisHeaders {
		return errors.New("a packet is too large")
	}
	o.page = append(h[:27+segments], make([]byte, size)...)
	_, err := io.ReadFull(o.r, o.page[27+segments:])
	o.rest = o.page
	return unexpectedEOF(err)
}

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (o *oggPages) Read(p []byte) (int, error) {
	if len(o.rest) == 0 {
		if err := o.next(); err != nil {
			return 0, err
		}
		if o.packet > maxVorbisPacket {
			return 0, errors.New("a packet is too large")
		}
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

// headers reads and checks the pages of the three Vorbis headers, and gives
// them as they are.
func (o *oggPages) headers() (raw []byte, err error) {
	var packet []byte
	for packets := 0; packets < 3; {
		if err := o.next(); err != nil {
			return nil, unexpectedEOF(err)
		}
		raw = append(raw, o.page...)
		if len(raw) > maxVorbisHeaders {
			return nil, errors.New("they are too large")
		}
		segments := int(o.page[26])
		body := o.page[27+segments:]
		for _, s := range o.page[27 : 27+segments] {
			packet = append(packet, body[:s]...)
			body = body[s:]
			if s == 255 {
				continue
			}
			if packets < 3 {
				if err := checkVorbisHeader(packets, packet); err != nil {
					return nil, err
				}
			}
			packets++
			packet = packet[:0]
		}
	}
	o.rest = nil
	return raw, nil
}

// checkVorbisHeader checks what the decoder would allocate or loop for without
// a check of its own, in header packet i (Vorbis I specification, section 4.2).
func checkVorbisHeader(i int, b []byte) error {
	if len(b) < 7 || b[0] != byte(2*i+1) || string(b[1:7]) != "vorbis" {
		return errors.New("a header is missing")
	}
	b = b[7:]
	le := binary.LittleEndian
	switch i {
	case 0:
		if len(b) < 23 {
			return errors.New("the identification is too short")
		}
		f := Format{Channels: int(b[4]), SampleRate: int(min(le.Uint32(b[5:]), 1<<30))}
		if err := f.validate(); err != nil {
			return err
		}
		small, large := b[21]&15, b[21]>>4
		if small < 6 || large > 13 || small > large {
			return errors.New("the block sizes are wrong")
		}
	case 1:
		short := errors.New("the comments are cut off")
		if len(b) < 4 || uint64(len(b)) < 8+uint64(le.Uint32(b)) {
			return short
		}
		b = b[4+le.Uint32(b):]
		if uint64(le.Uint32(b))*4 > uint64(len(b)-4) {
			return short
		}
	case 2:
		return checkVorbisCodebooks(b)
	}
	return nil
}

// lsbBits reads bits from the lowest of each byte on; past the end it gives 0
// and notes that.
type lsbBits struct {
	b   []byte
	pos int
	eof bool
}

func (r *lsbBits) read(n int) (v uint32) {
	for i := range n {
		if r.pos>>3 >= len(r.b) {
			r.eof = true
			return 0
		}
		v |= uint32(r.b[r.pos>>3]>>(r.pos&7)&1) << i
		r.pos++
	}
	return v
}

// checkVorbisCodebooks walks the codebooks of a setup header (Vorbis I
// specification, section 3.2.1). The decoder needs full Huffman trees, sizes
// that are not 0, and time that grows with the square of the entries.
func checkVorbisCodebooks(b []byte) error {
	const (
		maxEntries = 1 << 14 // of one codebook; libvorbis has up to 3^8
		maxTotal   = 1 << 17 // of all
		maxValues  = 1 << 22
	)
	r := &lsbBits{b: b}
	entriesLeft, valuesLeft := maxTotal, maxValues
	for n := int(r.read(8)) + 1; n > 0; n-- {
		if r.read(24) != 0x564342 {
			return errors.New("a codebook is missing")
		}
		dims, entries := int(r.read(16)), int(r.read(24))
		if dims == 0 || entries < 2 || entries > maxEntries {
			return fmt.Errorf("a codebook of %d entries of %d values is not supported", entries, dims)
		}
		entriesLeft -= entries
		valuesLeft -= entries * dims
		if entriesLeft < 0 || valuesLeft < 0 {
			return errors.New("the codebooks are too large")
		}
		var kraft uint64 // sum over entries of 2^(32-length)
		if ordered := r.read(1) == 1; ordered {
			length := int(r.read(5)) + 1
			for done := 0; done < entries; length++ {
				if length > 32 || r.eof {
					return errors.New("a codebook is wrong")
				}
				k := int(r.read(bits.Len(uint(entries - done))))
				done += k
				if done > entries {
					return errors.New("a codebook is wrong")
				}
				kraft += uint64(k) << (32 - length)
			}
		} else {
			sparse := r.read(1) == 1
			for range entries {
				if !sparse || r.read(1) == 1 {
					kraft += 1 << (31 - r.read(5))
				}
			}
		}
		if kraft != 1<<32 {
			return errors.New("a codebook has an incomplete tree")
		}
		switch lookup := r.read(4); lookup {
		case 0:
		case 1, 2:
			r.read(32)
			r.read(32)
			width := int(r.read(4)) + 1
			r.read(1)
			values := entries * dims
			if lookup == 1 {
				values = lookup1Values(entries, dims)
			}
			r.pos += values * width
		default:
			return errors.New("a codebook is wrong")
		}
		if r.eof || r.pos > 8*len(b) {
			return errors.New("the codebooks are cut off")
		}
	}
	return nil
}

// lookup1Values is the largest v with v^dims <= entries (section 9.2.3).
func lookup1Values(entries, dims int) int {
	for v := 1; ; v++ {
		p := 1
		for range dims {
			if p *= v + 1; p > entries {
				return v
			}
		}
	}
}
