// Package npy reads and writes arrays in NumPy's file format (NEP 1).
package npy

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

// magic begins a file of format 1.0.
const magic = "\x93NUMPY\x01\x00"

// AppendHeader appends that of an array of a NumPy type, such as "<f4".
func AppendHeader(dst []byte, descr string, shape ...int) []byte {
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
	size := (len(magic) + 2 + len(header) + 1 + 63) / 64 * 64
	pad := size - len(magic) - 2 - len(header) - 1
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(size-len(magic)-2))
	dst = append(dst, header...)
	dst = append(dst, bytes.Repeat([]byte{' '}, pad)...)
	return append(dst, '\n')
}

// ReadHeader reads what stands before the values: of an array in C order, up to 8
// dimensions.
func ReadHeader(r io.Reader) (shape []int64, descr string, err error) {
	bad := errors.New("not a NumPy array")
	var h [12]byte
	if _, err := io.ReadFull(r, h[:10]); err != nil || string(h[:6]) != magic[:6] {
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

// maxFloats bounds an array of floating point: 1 GiB of single precision.
const maxFloats = 1 << 28

// ReadFloats reads an array of floating point, of single or double precision.
func ReadFloats(r io.Reader) (shape []int, values []float32, err error) {
	dims, descr, err := ReadHeader(r)
	if err != nil {
		return nil, nil, err
	}
	size := map[string]int{"<f4": 4, "<f8": 8}[descr]
	if size == 0 {
		return nil, nil, fmt.Errorf("NumPy array of type %q: save it as float32", descr)
	}
	n := int64(1)
	for _, d := range dims {
		if d > 0 && n > maxFloats/d {
			return nil, nil, fmt.Errorf("NumPy array of shape %v: at most %d values are read", dims, maxFloats)
		}
		n *= d
		shape = append(shape, int(d))
	}
	var block [1 << 13]byte
	for left := n * int64(size); left > 0; {
		b := block[:min(left, int64(len(block)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, nil, errors.New("NumPy array is cut off")
		}
		left -= int64(len(b))
		for ; len(b) > 0; b = b[size:] {
			if size == 4 {
				values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(b)))
			} else {
				values = append(values, float32(math.Float64frombits(binary.LittleEndian.Uint64(b))))
			}
		}
	}
	return shape, values, nil
}

// AppendFloats appends an array of single precision.
func AppendFloats(dst []byte, values []float32, shape ...int) []byte {
	dst = AppendHeader(dst, "<f4", shape...)
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
	}
	return dst
}
