package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/nlpodyssey/safetensors"
)

// File is a set of named arrays with text metadata, as safetensors stores it.
type File struct {
	Metadata map[string]string
	Tensors  map[string]Tensor
}

// Tensor is one array, row-major.
type Tensor struct {
	Shape []int
	Data  []float32
}

// Parse reads a safetensors file; all values become float32.
func Parse(data []byte) (*File, error) {
	st, err := safetensors.Deserialize(data)
	if err != nil {
		return nil, fmt.Errorf("weights: not a whole safetensors file: %w", err)
	}
	_, meta, err := safetensors.ReadMetadata(data)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	f := &File{Metadata: maps.Clone(meta.Metadata()), Tensors: map[string]Tensor{}}
	for _, named := range st.Tensors() {
		t, err := convert(named.TensorView)
		if err != nil {
			return nil, fmt.Errorf("weights: tensor %q: %w", named.Name, err)
		}
		f.Tensors[named.Name] = t
	}
	return f, nil
}

func convert(v safetensors.TensorView) (Tensor, error) {
	raw := v.Data()
	var t Tensor
	n := 1
	for _, d := range v.Shape() {
		if d > uint64(len(raw)) || n > len(raw) { // also keeps n from overflowing
			return t, fmt.Errorf("shape %v is larger than its %d bytes", v.Shape(), len(raw))
		}
		t.Shape = append(t.Shape, int(d))
		n *= int(d)
	}
	kind, ok := dtypeOf[v.DType()]
	if !ok {
		return t, fmt.Errorf("values are %s, which are not read", v.DType())
	}
	t.Data = make([]float32, len(raw)/int(kind.size))
	for i := range t.Data {
		t.Data[i] = kind.get(raw[i*int(kind.size):])
	}
	if n != len(t.Data) {
		return t, fmt.Errorf("shape %v does not match %d values", t.Shape, len(t.Data))
	}
	return t, nil
}

// Bytes gives the safetensors file, in half precision where half is set. The
// same content gives the same bytes.
func (f *File) Bytes(half bool) ([]byte, error) {
	views := map[string]safetensors.TensorView{}
	for name, t := range f.Tensors {
		shape := make([]uint64, len(t.Shape))
		for i, d := range t.Shape {
			shape[i] = uint64(d)
		}
		kind, raw := safetensors.F32, make([]byte, 0, 4*len(t.Data))
		if half {
			kind = safetensors.F16
		}
		for _, v := range t.Data {
			if half {
				raw = binary.LittleEndian.AppendUint16(raw, Float16(v))
			} else {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
		}
		view, err := safetensors.NewTensorView(kind, shape, raw)
		if err != nil {
			return nil, fmt.Errorf("weights: tensor %q: %w", name, err)
		}
		views[name] = view
	}
	data, err := safetensors.Serialize(views, f.Metadata)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	return data, nil
}

// Sum is the SHA-256 of the arrays in their canonical form: in the order of
// their names, name, shape and float32 values, little endian, each text and
// shape preceded by its length. It does not depend on how a file stores them.
func (f *File) Sum() [32]byte {
	h := sha256.New()
	number := func(n int) { binary.Write(h, binary.LittleEndian, uint64(n)) }
	for _, name := range slices.Sorted(maps.Keys(f.Tensors)) {
		t := f.Tensors[name]
		number(len(name))
		h.Write([]byte(name))
		number(len(t.Shape))
		for _, d := range t.Shape {
			number(d)
		}
		raw := make([]byte, 0, 4*len(t.Data))
		for _, v := range t.Data {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		h.Write(raw)
	}
	return [32]byte(h.Sum(nil))
}
