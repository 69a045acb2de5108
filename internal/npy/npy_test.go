package npy

import (
	"bytes"
	"slices"
	"testing"
)

// Arrays come back as they were.
func TestFloats(t *testing.T) {
	want := []float32{1, -2, 0.5, 3e-40, 7, 8}
	for _, shape := range [][]int{{6}, {2, 3}, {1, 3, 2}, {0, 4}} {
		values := want
		if shape[0] == 0 {
			values = nil
		}
		file := AppendFloats(nil, values, shape...)
		got, x, err := ReadFloats(bytes.NewReader(file))
		if err != nil || !slices.Equal(got, shape) || !slices.Equal(x, values) {
			t.Errorf("%v came back as %v %v (%v)", shape, got, x, err)
		}
		for cut := range len(file) {
			if _, _, err := ReadFloats(bytes.NewReader(file[:cut])); err == nil {
				t.Fatalf("%v cut to %d bytes: no error", shape, cut)
			}
		}
	}
}

// NumPy's own bytes: numpy.save of numpy.array([[1, 2]], "<f8").
func TestDouble(t *testing.T) {
	file := "\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }" + string(bytes.Repeat([]byte{' '}, 58)) + "\n" +
		"\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@"
	shape, x, err := ReadFloats(bytes.NewReader([]byte(file)))
	if err != nil || !slices.Equal(shape, []int{1, 2}) || !slices.Equal(x, []float32{1, 2}) {
		t.Errorf("%v %v %v", shape, x, err)
	}
}

func FuzzReadFloats(f *testing.F) {
	f.Add(AppendFloats(nil, []float32{1, 2, 3}, 3, 1))
	f.Add([]byte("\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999), }\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		shape, x, err := ReadFloats(bytes.NewReader(file))
		n := 1
		for _, d := range shape {
			n *= d
		}
		if err == nil && n != len(x) {
			t.Errorf("%d values of shape %v", len(x), shape)
		}
	})
}
