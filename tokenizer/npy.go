package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
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
	dst = appendNPYHeader(dst, v.npyType(), shape...)
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

const npyMagic = "\x93NUMPY\x01\x00"

func appendNPYHeader(dst []byte, descr string, shape ...int) []byte {
	dims := make([]string, len(shape))
	for i, n := range shape {
		dims[i] = strconv.Itoa(n)
	}
	tuple := strings.Join(dims, ", ")
	if len(shape) == 1 {
		tuple += ","
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple)
	// The data begins at a multiple of 64 bytes.
	size := (len(npyMagic) + 2 + len(header) + 1 + 63) / 64 * 64
	pad := size - len(npyMagic) - 2 - len(header) - 1
	dst = append(dst, npyMagic...)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(size-len(npyMagic)-2))
	dst = append(dst, header...)
	dst = append(dst, bytes.Repeat([]byte{' '}, pad)...)
	return append(dst, '\n')
}

// maxNPY bounds a NumPy file, in bytes: 30 hours of 8 codes 50 times a second.
const maxNPY = 256 << 20

// readNPY reads integers of one or two dimensions; arrays of objects, which hold
// programs, are refused. Width is 1 for one dimension.
func readNPY(r io.Reader) (Sequence, error) {
	var s Sequence
	shape, descr, err := readNPYHeader(r)
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
		if d > 0 && n > maxNPY/d {
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

func readNPYHeader(r io.Reader) (shape []int64, descr string, err error) {
	bad := errors.New("not a NumPy array")
	var h [12]byte
	if _, err := io.ReadFull(r, h[:10]); err != nil || string(h[:6]) != npyMagic[:6] {
		return nil, "", bad
	}
	n := int(binary.LittleEndian.Uint16(h[8:]))
	if h[6] >= 2 {
		if _, err := io.ReadFull(r, h[10:12]); err != nil {
			return nil, "", bad
		}
		n = int(binary.LittleEndian.Uint32(h[8:]))
	}
	if n > 1<<16 {
		return nil, "", bad
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, "", bad
	}
	field := func(name string) string {
		_, rest, _ := strings.Cut(string(text), "'"+name+"':")
		return strings.TrimSpace(rest)
	}
	if !strings.HasPrefix(field("fortran_order"), "False") {
		return nil, "", errors.New("NumPy array in Fortran order: save it with numpy.ascontiguousarray")
	}
	if d := field("descr"); strings.HasPrefix(d, "'") {
		descr, _, _ = strings.Cut(d[1:], "'")
	}
	dims, ok := strings.CutPrefix(field("shape"), "(")
	dims, _, closed := strings.Cut(dims, ")")
	if !ok || !closed {
		return nil, "", bad
	}
	for d := range strings.SplitSeq(dims, ",") {
		if d = strings.TrimSpace(d); d == "" {
			continue
		}
		x, err := strconv.ParseInt(d, 10, 64)
		if err != nil || x < 0 || len(shape) == 8 {
			return nil, "", bad
		}
		shape = append(shape, x)
	}
	return shape, descr, nil
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
