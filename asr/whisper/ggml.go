package whisper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/sotto-audio/sotto/internal/weights"
)

// openGGML reads the format of whisper.cpp: sizes, mel filters, vocabulary and
// tensors, all little endian. Filters and vocabulary are those of every model and
// are passed over.
func openGGML(r io.ReaderAt, size int64) (*checkpoint, error) {
	s := &scanner{r: r, size: size, at: 4} // after the magic number
	c := &checkpoint{}
	for _, to := range []*int{
		&c.dims.Vocabulary,
		&c.dims.AudioContext, &c.dims.AudioWidth, &c.dims.AudioHeads, &c.dims.AudioLayers,
		&c.dims.TextContext, &c.dims.TextWidth, &c.dims.TextHeads, &c.dims.TextLayers,
		&c.dims.Mels,
	} {
		*to = s.int()
	}
	s.int() // the type of most tensors, which each has on its own
	bands, bins := s.int(), s.int()
	s.skip(4 * int64(min(bands, 1<<20)) * int64(min(bins, 1<<20)))
	for range s.count() {
		s.skip(int64(s.int()))
	}
	tensors := map[string]ggmlTensor{}
	for s.err == nil && s.at < s.size {
		rank, length, kind := s.int(), s.int(), s.int()
		if rank > 4 || length > 1<<10 {
			return nil, fmt.Errorf("a tensor of %d dimensions and a name of %d bytes at byte %d", rank, length, s.at)
		}
		t := ggmlTensor{shape: make([]int, rank)}
		values := int64(1)
		for i := range t.shape { // the last dimension comes first
			d := s.int()
			t.shape[rank-1-i] = d
			if values *= int64(d); values > 2*size { // a value takes half a byte or more
				return nil, fmt.Errorf("a tensor of shape %v at byte %d is larger than the file", t.shape, s.at)
			}
		}
		name := string(s.bytes(length))
		var ok bool
		if t.kind, ok = ggmlKinds[kind]; !ok {
			return nil, fmt.Errorf("tensor %q has type %d: only f32, f16, q4_0, q4_1, q5_0, q5_1 and q8_0 are read", name, kind)
		}
		if rank == 0 || t.shape[rank-1]%t.kind.values != 0 {
			return nil, fmt.Errorf("tensor %q of shape %v does not divide into blocks of %d", name, t.shape, t.kind.values)
		}
		t.at, t.size = s.at, values/int64(t.kind.values)*int64(t.kind.bytes)
		s.skip(t.size)
		tensors[name] = t
	}
	if s.err != nil {
		return nil, s.err
	}
	c.read = func(name string) (weights.Tensor, error) {
		t, ok := tensors[name]
		if !ok {
			return weights.Tensor{}, fmt.Errorf("there is no tensor %q", name)
		}
		return t.read(r)
	}
	return c, nil
}

// scanner reads numbers one after the other; it keeps the first error.
type scanner struct {
	r    io.ReaderAt
	size int64
	at   int64
	err  error
}

func (s *scanner) bytes(n int) []byte {
	b := make([]byte, n)
	if s.err == nil {
		if _, err := s.r.ReadAt(b, s.at); err != nil {
			s.err = errors.New("the file is cut off")
		}
		s.at += int64(n)
	}
	return b
}

// int reads a number that is not negative.
func (s *scanner) int() int {
	n := int32(binary.LittleEndian.Uint32(s.bytes(4)))
	if n < 0 && s.err == nil {
		s.err = fmt.Errorf("the size %d at byte %d", n, s.at-4)
	}
	return int(max(n, 0))
}

// count reads the number of things of at least four bytes each that follow.
func (s *scanner) count() int {
	n := s.int()
	if s.err == nil && int64(n) > (s.size-s.at)/4 {
		s.err = errors.New("the file is cut off")
	}
	if s.err != nil {
		return 0
	}
	return n
}

func (s *scanner) skip(n int64) {
	if s.err == nil && n > s.size-s.at {
		s.err = errors.New("the file is cut off")
	}
	s.at += n
}

type ggmlTensor struct {
	kind     ggmlKind
	shape    []int
	at, size int64
}

func (t ggmlTensor) read(r io.ReaderAt) (weights.Tensor, error) {
	raw := make([]byte, t.size)
	if _, err := r.ReadAt(raw, t.at); err != nil {
		return weights.Tensor{}, fmt.Errorf("reading a tensor: %w", err)
	}
	out := weights.Tensor{Shape: t.shape, Data: make([]float32, len(raw)/t.kind.bytes*t.kind.values)}
	for i, v := 0, out.Data; len(v) > 0; i, v = i+t.kind.bytes, v[t.kind.values:] {
		t.kind.get(v[:t.kind.values], raw[i:i+t.kind.bytes])
	}
	return out, nil
}

// ggmlKind is a type of values: blocks of so many values in so many bytes.
type ggmlKind struct {
	values, bytes int
	get           func(v []float32, b []byte)
}

// ggmlKinds are the types by their number in files. Quantised blocks hold 32
// values q·d, or q·d + m; q of 5 bits has its high bits in a word of their own, q
// of 4 bits value i and i+16 in one byte.
var ggmlKinds = map[int]ggmlKind{
	0: {1, 4, func(v []float32, b []byte) { v[0] = math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	1: {1, 2, func(v []float32, b []byte) { v[0] = f16(b) }},
	2: {32, 18, func(v []float32, b []byte) { // q4_0
		unpack(v, b[2:], 0, 8, f16(b), 0)
	}},
	3: {32, 20, func(v []float32, b []byte) { // q4_1
		unpack(v, b[4:], 0, 0, f16(b), f16(b[2:]))
	}},
	6: {32, 22, func(v []float32, b []byte) { // q5_0
		unpack(v, b[6:], binary.LittleEndian.Uint32(b[2:]), 16, f16(b), 0)
	}},
	7: {32, 24, func(v []float32, b []byte) { // q5_1
		unpack(v, b[8:], binary.LittleEndian.Uint32(b[4:]), 0, f16(b), f16(b[2:]))
	}},
	8: {32, 34, func(v []float32, b []byte) { // q8_0
		d := f16(b)
		for i := range v {
			v[i] = float32(int8(b[2+i])) * d
		}
	}},
}

func f16(b []byte) float32 { return weights.FromFloat16(binary.LittleEndian.Uint16(b)) }

func unpack(v []float32, low []byte, high uint32, zero int32, d, m float32) {
	for i := range 16 {
		a := int32(low[i]&15) | int32(high>>i&1)<<4
		b := int32(low[i]>>4) | int32(high>>(i+16)&1)<<4
		v[i] = float32(float32(a-zero)*d) + m
		v[i+16] = float32(float32(b-zero)*d) + m
	}
}
