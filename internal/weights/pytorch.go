package weights

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sotto-audio/sotto/internal/weights/pickle"
)

// PyTorch is a checkpoint that torch.save wrote: the zip form (since PyTorch
// 1.6) or the one before. Tensors, parameters and plain containers are read;
// nothing is run, and a checkpoint that names any other function is refused.
type PyTorch struct {
	tensors map[string]*tensorRef
	values  map[string]any
	names   []string
}

// storage is the memory that tensors are views of.
type storage struct {
	kind  kind
	count int64 // values
	data  io.ReaderAt
}

type tensorRef struct {
	*storage
	offset         int64
	shape, strides []int
}

// kind is a type of values.
type kind struct {
	name string
	size int64
	get  func(b []byte) float32
}

var kinds = []kind{
	{"Float", 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	{"Half", 2, func(b []byte) float32 { return FromFloat16(binary.LittleEndian.Uint16(b)) }},
	{"BFloat16", 2, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }},
	{"Double", 8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }},
	{"Long", 8, func(b []byte) float32 { return float32(int64(binary.LittleEndian.Uint64(b))) }},
	{"Int", 4, func(b []byte) float32 { return float32(int32(binary.LittleEndian.Uint32(b))) }},
	{"Short", 2, func(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) }},
	{"Char", 1, func(b []byte) float32 { return float32(int8(b[0])) }},
	{"Byte", 1, func(b []byte) float32 { return float32(b[0]) }},
	{"Bool", 1, func(b []byte) float32 { return float32(b[0] & 1) }},
}

// OpenPyTorch reads the structure of a checkpoint of the given size. Tensors are
// read from r when they are asked for.
func OpenPyTorch(r io.ReaderAt, size int64) (*PyTorch, error) {
	var head [4]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("weights: not a PyTorch checkpoint: %w", err)
	}
	var root any
	var err error
	if string(head[:]) == "PK\x03\x04" {
		root, err = readZip(r, size)
	} else {
		root, err = readLegacy(r, size)
	}
	if err != nil {
		return nil, fmt.Errorf("weights: PyTorch checkpoint: %w", err)
	}
	p := &PyTorch{tensors: map[string]*tensorRef{}, values: map[string]any{}}
	left := maxEntries
	if err := p.flatten("", root, 0, &left); err != nil {
		return nil, fmt.Errorf("weights: PyTorch checkpoint: %w", err)
	}
	return p, nil
}

const (
	maxEntries = 1 << 20 // values of all containers
	maxDepth   = 64
)

// flatten names what containers hold by the path to it: keys and indices with
// dots between them.
func (p *PyTorch) flatten(name string, v any, depth int, left *int) error {
	if *left--; *left < 0 || depth > maxDepth {
		return errors.New("its containers hold too much, or themselves")
	}
	join := func(key string) string {
		if name == "" {
			return key
		}
		return name + "." + key
	}
	switch v := v.(type) {
	case *tensorRef:
		if p.tensors[name] == nil {
			p.names = append(p.names, name)
		}
		p.tensors[name] = v
	case *pickle.Dict:
		for i, k := range v.Keys {
			if err := p.flatten(join(fmt.Sprint(k)), v.Values[i], depth+1, left); err != nil {
				return err
			}
		}
	case *object:
		return p.flatten(name, v.state, depth+1, left)
	case *pickle.List:
		return p.flattenAll(join, v.Items, depth, left)
	case pickle.Tuple:
		return p.flattenAll(join, v, depth, left)
	case nil, bool, int64, float64, string:
		p.values[name] = v
	}
	return nil
}

func (p *PyTorch) flattenAll(join func(string) string, items []any, depth int, left *int) error {
	for i, v := range items {
		if err := p.flatten(join(strconv.Itoa(i)), v, depth+1, left); err != nil {
			return err
		}
	}
	return nil
}

// Names lists the tensors in the order of the file.
func (p *PyTorch) Names() []string { return slices.Clone(p.names) }

// Value is a number, text or truth value outside of tensors; ok is false where
// there is none of that name.
func (p *PyTorch) Value(name string) (v any, ok bool) {
	v, ok = p.values[name]
	return v, ok
}

// Tensor reads one tensor.
func (p *PyTorch) Tensor(name string) (Tensor, error) {
	ref := p.tensors[name]
	if ref == nil {
		return Tensor{}, fmt.Errorf("weights: the checkpoint has no tensor %q", name)
	}
	t, err := ref.read()
	if err != nil {
		return Tensor{}, fmt.Errorf("weights: tensor %q: %w", name, err)
	}
	return t, nil
}

func (r *tensorRef) read() (Tensor, error) {
	t := Tensor{Shape: slices.Clone(r.shape)}
	n := 1
	for _, d := range r.shape {
		n *= d
	}
	if n == 0 {
		return t, nil
	}
	last := int64(0)
	for i, d := range r.shape {
		last += int64(d-1) * int64(r.strides[i])
	}
	raw := make([]byte, (last+1)*r.kind.size)
	if _, err := r.data.ReadAt(raw, r.offset*r.kind.size); err != nil {
		return t, fmt.Errorf("its values are cut off: %w", err)
	}
	t.Data = make([]float32, n)
	index := make([]int, len(r.shape))
	at := int64(0)
	for i := range t.Data {
		t.Data[i] = r.kind.get(raw[at*r.kind.size:])
		for d := len(index) - 1; d >= 0; d-- {
			index[d]++
			at += int64(r.strides[d])
			if index[d] < r.shape[d] {
				break
			}
			at -= int64(index[d]) * int64(r.strides[d])
			index[d] = 0
		}
	}
	return t, nil
}

// readZip reads the form of torch.save since 1.6: NAME/data.pkl refers to the
// files NAME/data/KEY.
func readZip(r io.ReaderAt, size int64) (any, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, err
	}
	files := map[string]*zip.File{}
	var main string
	for _, f := range z.File {
		files[f.Name] = f
		if path.Base(f.Name) == "data.pkl" {
			main = f.Name
		}
	}
	if main == "" {
		return nil, errors.New("it has no data.pkl: is it a TorchScript or another archive?")
	}
	dir := path.Dir(main)
	if f := files[dir+"/byteorder"]; f != nil {
		if order, err := section(r, f, size); err != nil {
			return nil, err
		} else if text, _ := io.ReadAll(io.LimitReader(order, 16)); strings.TrimSpace(string(text)) != "little" {
			return nil, fmt.Errorf("its numbers are %q endian", text)
		}
	}
	data, err := section(r, files[main], size)
	if err != nil {
		return nil, err
	}
	return pickle.Read(bufio.NewReader(data), &checkpoint{storage: func(key string, s *storage) error {
		f := files[dir+"/data/"+key]
		if f == nil {
			return fmt.Errorf("the values %q are missing", key)
		}
		data, err := section(r, f, size)
		if err != nil {
			return err
		}
		if s.count > data.Size()/s.kind.size {
			return fmt.Errorf("the values %q are cut off: %d of %d bytes", key, data.Size(), s.count*s.kind.size)
		}
		s.data = data
		return nil
	}})
}

// section is the content of a file that is stored as it is.
func section(r io.ReaderAt, f *zip.File, size int64) (*io.SectionReader, error) {
	if f.Method != zip.Store {
		return nil, fmt.Errorf("%s is compressed: torch.save never does that", f.Name)
	}
	at, err := f.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if f.UncompressedSize64 > uint64(size) || at+int64(f.UncompressedSize64) > size {
		return nil, fmt.Errorf("%s is cut off", f.Name)
	}
	return io.NewSectionReader(r, at, int64(f.UncompressedSize64)), nil
}

// legacyMagic begins the form before 1.6.
const legacyMagic = "119547037146038801333356"

// readLegacy reads the older form: pickles of a magic number, a version, the
// writer's system, the content and the keys of its storages, whose values follow
// in that order, each after their number.
func readLegacy(r io.ReaderAt, size int64) (any, error) {
	c := &counter{r: io.NewSectionReader(r, 0, size)}
	b := bufio.NewReader(c)
	magic, err := pickle.Read(b, &checkpoint{})
	if n, ok := magic.(*big.Int); err != nil || !ok || n.String() != legacyMagic {
		return nil, errors.New("neither a zip archive nor the older form: is the file whole?")
	}
	var parts [3]any // version, system, content
	keep := &checkpoint{storage: func(key string, s *storage) error {
		if s.count > size/s.kind.size {
			return fmt.Errorf("the values %q are larger than the file", key)
		}
		return nil
	}}
	for i := range parts {
		if parts[i], err = pickle.Read(b, keep); err != nil {
			return nil, err
		}
	}
	keys, err := pickle.Read(b, &checkpoint{})
	if err != nil {
		return nil, err
	}
	list, ok := keys.(*pickle.List)
	if !ok {
		return nil, errors.New("the keys of its values are no list")
	}
	at := c.n - int64(b.Buffered())
	for _, k := range list.Items {
		s := keep.stored[fmt.Sprint(k)]
		var count [8]byte
		if _, err := r.ReadAt(count[:], at); err != nil || s == nil {
			return nil, fmt.Errorf("the values %q are cut off", fmt.Sprint(k))
		}
		if n := int64(binary.LittleEndian.Uint64(count[:])); n != s.count {
			return nil, fmt.Errorf("%d values %q, expected %d", n, fmt.Sprint(k), s.count)
		}
		bytes := s.count * s.kind.size
		if at += 8; bytes > size-at {
			return nil, fmt.Errorf("the values %q are cut off", fmt.Sprint(k))
		}
		s.data = io.NewSectionReader(r, at, bytes)
		at += bytes
	}
	for key, s := range keep.stored {
		if s.data == nil {
			return nil, fmt.Errorf("the values %q are missing", key)
		}
	}
	return parts[2], nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
