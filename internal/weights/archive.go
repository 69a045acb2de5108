package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/nlpodyssey/safetensors"
)

// Source gives named arrays of a file, each when it is asked for.
type Source interface {
	// Names lists the arrays in the order of the file.
	Names() []string
	// Tensor reads one.
	Tensor(name string) (Tensor, error)
	// Value is a number, text or truth value beside the arrays.
	Value(name string) (v any, ok bool)
}

// Open opens a safetensors file or a PyTorch checkpoint, by its content. Arrays
// live in the file, which is mapped to memory where the system can, until the
// closer is called.
func Open(path string) (Source, io.Closer, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if file != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("is a directory")}
	}
	var head [4]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return nil, nil, errors.New("weights: neither safetensors nor a PyTorch checkpoint: shorter than 4 bytes")
	}
	if string(head[:2]) == "PK" || head[0] == 0x80 && !isSafetensors(file, info.Size()) {
		p, err := OpenPyTorch(file, info.Size())
		if err != nil {
			return nil, nil, err
		}
		closer := file
		file = nil
		return p, closer, nil
	}
	data, unmap, err := mapFile(file, info.Size())
	if err != nil {
		return nil, nil, fmt.Errorf("weights: %w", err)
	}
	a, err := newArchive(data)
	if err != nil {
		unmap()
		return nil, nil, err
	}
	return a, closeFunc(unmap), nil
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

// Archive is a safetensors file.
type Archive struct {
	names    []string
	views    map[string]safetensors.TensorView
	metadata map[string]string
}

func newArchive(data []byte) (*Archive, error) {
	st, err := safetensors.Deserialize(data)
	if err != nil {
		return nil, fmt.Errorf("weights: not a whole safetensors file: %w", err)
	}
	_, meta, err := safetensors.ReadMetadata(data)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	a := &Archive{views: map[string]safetensors.TensorView{}, metadata: meta.Metadata()}
	for _, named := range st.Tensors() {
		a.names = append(a.names, named.Name)
		a.views[named.Name] = named.TensorView
	}
	return a, nil
}

// Names lists the arrays.
func (a *Archive) Names() []string { return slices.Clone(a.names) }

// Value is an entry of the metadata, a text.
func (a *Archive) Value(name string) (any, bool) {
	v, ok := a.metadata[name]
	return v, ok
}

// Tensor reads one array as float32.
func (a *Archive) Tensor(name string) (Tensor, error) {
	v, ok := a.views[name]
	if !ok {
		return Tensor{}, fmt.Errorf("weights: the file has no tensor %q", name)
	}
	t, err := convert(v)
	if err != nil {
		return Tensor{}, fmt.Errorf("weights: tensor %q: %w", name, err)
	}
	return t, nil
}

// dtypeOf gives the types of safetensors that are read.
var dtypeOf = map[safetensors.DType]kind{}

func init() {
	for dtype, name := range map[safetensors.DType]string{
		safetensors.F32: "Float", safetensors.F16: "Half", safetensors.BF16: "BFloat16", safetensors.F64: "Double",
		safetensors.I64: "Long", safetensors.I32: "Int", safetensors.I16: "Short", safetensors.I8: "Char", safetensors.U8: "Byte", safetensors.BOOL: "Bool",
	} {
		for _, k := range kinds {
			if k.name == name {
				dtypeOf[dtype] = k
			}
		}
	}
}

// isSafetensors reports whether a file begins with the length of a header and the
// header, as safetensors does. The length may have the first byte of a pickle.
func isSafetensors(r io.ReaderAt, size int64) bool {
	var head [9]byte
	_, err := r.ReadAt(head[:], 0)
	return err == nil && head[8] == '{' && binary.LittleEndian.Uint64(head[:]) <= uint64(size-8)
}
