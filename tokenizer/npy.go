package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/sotto-audio/sotto/internal/npy"
)

// npyType is the NumPy type of a vocabulary's ids: 16 bits where they fit, since
// PyTorch knows int16 better than uint16.
func (v *Vocabulary) npyType() string {
	if v.top() <= math.MaxInt16 {
		return "<i2"
	}
	return "<i4"
}

// appendNPY appends a sequence as a file of NumPy's format 1.0 (NEP 1), of shape
// [steps] or [steps, width].
func appendNPY(dst []byte, v *Vocabulary, s Sequence) []byte {
	shape := []int{s.Steps()}
	if s.Width > 1 || !v.Layout.single() {
		shape = append(shape, s.Width)
	}
	dst = npy.AppendHeader(dst, v.npyType(), shape...)
	le := binary.LittleEndian
	if v.npyType() == "<i2" {
		for _, id := range s.IDs {
			dst = le.AppendUint16(dst, uint16(id))
		}
		return dst
	}
	for _, id := range s.IDs {
		dst = le.AppendUint32(dst, uint32(id))
	}
	return dst
}

// maxNPY bounds a NumPy file, in bytes: 30 hours of 8 codes 50 times a second.
const maxNPY = 256 << 20

// readNPY reads integers of one or two dimensions; arrays of objects, which hold
// programs, are refused. Width is 1 for one dimension.
func readNPY(r io.Reader) (Sequence, error) {
	var s Sequence
	shape, descr, err := npy.ReadHeader(r)
	if err != nil {
		return s, err
	}
	sizes := map[string]int{"<i2": 2, "<u2": 2, "<i4": 4, "<u4": 4, "<i8": 8, "<u8": 8, "|u1": 1, "|i1": 1}
	size := sizes[descr]
	if size == 0 {
		return s, fmt.Errorf("NumPy array of type %q: it takes integers of 8 to 64 bits, little-endian", descr)
	}
	n := int64(1)
	for _, d := range shape {
		if d > 0 && n > maxNPY/int64(size)/d {
			return s, fmt.Errorf("NumPy array of shape %v is larger than %d MiB", shape, maxNPY>>20)
		}
		n *= d
	}
	s.Width = 1
	switch len(shape) {
	case 1:
	case 2:
		if shape[1] < 1 || shape[1] > math.MaxInt16 {
			return s, fmt.Errorf("NumPy array of shape %v", shape)
		}
		s.Width = int(shape[1])
	default:
		return s, fmt.Errorf("NumPy array of shape %v: it takes one or two dimensions", shape)
	}
	var block [1 << 13]byte
	for left := n * int64(size); left > 0; {
		b := block[:min(left, int64(len(block)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return s, errors.New("NumPy array is cut off")
		}
		left -= int64(len(b))
		for i := 0; i < len(b); i += size {
			var x uint64
			for k := size - 1; k >= 0; k-- {
				x = x<<8 | uint64(b[i+k])
			}
			if shift := 64 - 8*size; descr[1] == 'i' {
				x = uint64(int64(x<<shift) >> shift)
			}
			if int64(x) < 0 || int64(x) > math.MaxInt32 {
				return s, fmt.Errorf("NumPy array holds %d, which is no id", int64(x))
			}
			s.IDs = append(s.IDs, int32(x))
		}
	}
	return s, nil
}

// npyWriter writes a file an utterance, and the rest of what is known of them as
// JSON lines.
type npyWriter struct {
	v      *Vocabulary
	create Create
	rest   *jsonlWriter
}

func newNPYWriter(v *Vocabulary, name string, create Create) (Writer, error) {
	file, err := create(name + ".meta.jsonl")
	if err != nil {
		return nil, err
	}
	return &npyWriter{v, create, newJSONLWriter(v, file)}, nil
}

func (w *npyWriter) Write(u *Utterance) error {
	name := key(u.ID, true) + extensions[NPY]
	if err := writeFile(w.create, name, appendNPY(nil, w.v, u.Sequence)); err != nil {
		return err
	}
	return w.rest.write(u, name)
}

func (w *npyWriter) Close() error { return w.rest.Close() }

func writeFile(create Create, name string, data []byte) error {
	f, err := create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
