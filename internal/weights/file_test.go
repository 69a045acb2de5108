package weights

import (
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// example holds values that half precision keeps.
func example() *File {
	return &File{
		Metadata: map[string]string{"family": "test", "name": "é"},
		Tensors: map[string]Tensor{
			"a":      {Shape: []int{2, 3}, Data: []float32{0, -1, 0.5, 65504, 0x1p-24, 1024}},
			"b.bias": {Shape: []int{1}, Data: []float32{3}},
		},
	}
}

func TestFilesComeBack(t *testing.T) {
	f := example()
	for _, half := range []bool{false, true} {
		data, err := f.Bytes(half)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, f) {
			t.Errorf("half %v: got %+v", half, back)
		}
		if back.Sum() != f.Sum() {
			t.Errorf("half %v: the sum depends on how the values are stored", half)
		}
		again, err := back.Bytes(half)
		if err != nil || !slices.Equal(again, data) {
			t.Errorf("half %v: the same content gives other bytes, %v", half, err)
		}
		for n := range len(data) {
			if _, err := Parse(data[:n]); err == nil {
				t.Fatalf("half %v: %d of %d bytes pass for a file", half, n, len(data))
			}
		}
	}
}

func TestSumSeesEveryPart(t *testing.T) {
	sums := map[[32]byte]string{example().Sum(): "nothing"}
	for name, edit := range map[string]func(f *File){
		"a value":  func(f *File) { f.Tensors["a"].Data[4] *= -1 },
		"a shape":  func(f *File) { f.Tensors["a"] = Tensor{[]int{3, 2}, f.Tensors["a"].Data} },
		"a name":   func(f *File) { f.Tensors["c"] = f.Tensors["a"]; delete(f.Tensors, "a") },
		"a tensor": func(f *File) { delete(f.Tensors, "b.bias") },
	} {
		f := example()
		f.Tensors = maps.Clone(f.Tensors)
		edit(f)
		if other, seen := sums[f.Sum()]; seen {
			t.Errorf("changing %s gives the sum of changing %s", name, other)
		}
		sums[f.Sum()] = name
	}
}

func FuzzParse(f *testing.F) {
	for _, half := range []bool{false, true} {
		data, err := example().Bytes(half)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		for name, tensor := range file.Tensors {
			n := 1
			for _, d := range tensor.Shape {
				n *= d
			}
			if n != len(tensor.Data) {
				t.Errorf("%q: shape %v with %d values", name, tensor.Shape, len(tensor.Data))
			}
		}
	})
}

// A header of 128 bytes more than a multiple of 256 begins like a pickle.
func TestHeaderLikeAPickle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	for n := range 256 {
		f := &File{Metadata: map[string]string{"name": strings.Repeat("x", n)}, Tensors: map[string]Tensor{"a": {Shape: []int{1}, Data: []float32{2}}}}
		data, err := f.Bytes(false)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, closer, err := Open(path)
		if err != nil {
			t.Fatalf("a header of %d bytes: %v", binary.LittleEndian.Uint64(data), err)
		}
		if got, err := s.Tensor("a"); err != nil || got.Data[0] != 2 {
			t.Errorf("a header of %d bytes: %v, %v", binary.LittleEndian.Uint64(data), got, err)
		}
		closer.Close()
	}
}
