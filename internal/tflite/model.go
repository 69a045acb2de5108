// Package tflite reads TensorFlow Lite models and runs those made of the
// operators that Lyra's use: convolutions in float32 and in int8, and the
// plumbing of streams. The format is TensorFlow's schema.fbs; the arithmetic of
// int8 is that of its quantization specification and of the gemmlowp functions
// that its reference kernels call.
package tflite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Type is a type of values in schema.fbs.
type Type int

// The types that are read.
const (
	Float32  Type = 0
	Int32    Type = 2
	Bool     Type = 6
	Int8     Type = 9
	Resource Type = 13
)

func (t Type) String() string {
	switch t {
	case Float32:
		return "float32"
	case Int32:
		return "int32"
	case Bool:
		return "bool"
	case Int8:
		return "int8"
	case Resource:
		return "resource"
	}
	return fmt.Sprintf("type %d", int(t))
}

// Model is a file.
type Model struct {
	Graphs     []*Graph
	Signatures []Signature
}

// Signature names the inputs and outputs of a graph.
type Signature struct {
	Key             string
	Graph           int
	Inputs, Outputs map[string]int // tensors of the graph by name
}

// Graph is a list of operators in the order in which they run.
type Graph struct {
	Tensors         []*Tensor
	Operators       []Operator
	Inputs, Outputs []int
}

// Tensor is the description of an array, row-major; a constant has data.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int
	Data  []byte
	// Scale and Zero give the real value of an integer, Scale·(q − Zero), by
	// index along axis Axis where there are several.
	Scale []float32
	Zero  []int64
	Axis  int
}

// Len is the number of values.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Operator is one step.
type Operator struct {
	Code            Code
	Inputs, Outputs []int // tensors; an input of -1 is left out
	options         table
}

// maxValues keeps a hostile shape from taking more memory than the models need.
const maxValues = 1 << 24

// Parse reads a model.
func Parse(data []byte) (*Model, error) {
	if len(data) < 8 || string(data[4:8]) != "TFL3" {
		return nil, errors.New("tflite: not a TensorFlow Lite model")
	}
	b := &buffer{data: data}
	root := b.root()
	var codes []Code
	for _, t := range root.tables(1) {
		codes = append(codes, Code(max(t.int8(0), t.int32(3))))
	}
	var buffers [][]byte
	for _, t := range root.tables(4) {
		buffers = append(buffers, t.raw(0))
	}
	m := &Model{}
	for i, t := range root.tables(2) {
		g, err := parseGraph(t, codes, buffers)
		if err != nil {
			return nil, fmt.Errorf("tflite: graph %d: %w", i, err)
		}
		m.Graphs = append(m.Graphs, g)
	}
	for _, t := range root.tables(7) {
		s := Signature{Key: string(t.raw(2)), Graph: t.int32(4), Inputs: names(t.tables(0)), Outputs: names(t.tables(1))}
		m.Signatures = append(m.Signatures, s)
	}
	if b.err != nil {
		return nil, b.err
	}
	if len(m.Graphs) == 0 {
		return nil, errors.New("tflite: the model has no graph")
	}
	for _, s := range m.Signatures {
		if s.Graph < 0 || s.Graph >= len(m.Graphs) {
			return nil, fmt.Errorf("tflite: signature %q is of graph %d of %d", s.Key, s.Graph, len(m.Graphs))
		}
	}
	return m, nil
}

func names(tables []table) map[string]int {
	m := map[string]int{}
	for _, t := range tables {
		m[string(t.raw(0))] = t.int32(1)
	}
	return m
}

func parseGraph(t table, codes []Code, buffers [][]byte) (*Graph, error) {
	g := &Graph{Inputs: t.int32s(1), Outputs: t.int32s(2)}
	for i, u := range t.tables(0) {
		tensor, err := parseTensor(u, buffers)
		if err != nil {
			return nil, fmt.Errorf("tensor %d: %w", i, err)
		}
		g.Tensors = append(g.Tensors, tensor)
	}
	for i, u := range t.tables(3) {
		code := u.int32(0)
		if code < 0 || code >= len(codes) {
			return nil, fmt.Errorf("operator %d has no code", i)
		}
		op := Operator{Code: codes[code], Inputs: u.int32s(1), Outputs: u.int32s(2), options: u.table(4)}
		for _, k := range slices.Concat(op.Inputs, op.Outputs) {
			if k < -1 || k >= len(g.Tensors) {
				return nil, fmt.Errorf("operator %d works on tensor %d of %d", i, k, len(g.Tensors))
			}
		}
		g.Operators = append(g.Operators, op)
	}
	for _, k := range slices.Concat(g.Inputs, g.Outputs) {
		if k < 0 || k >= len(g.Tensors) {
			return nil, fmt.Errorf("input or output %d of %d tensors", k, len(g.Tensors))
		}
	}
	return g, nil
}

func parseTensor(t table, buffers [][]byte) (*Tensor, error) {
	q := t.table(4)
	out := &Tensor{
		Name: string(t.raw(3)), Type: Type(t.int8(1)), Shape: t.int32s(0),
		Scale: q.floats(2), Zero: q.int64s(3), Axis: q.int32(6),
	}
	n := 1
	for _, d := range out.Shape {
		if d < 0 || d > maxValues || n*d > maxValues {
			return nil, fmt.Errorf("shape %v", out.Shape)
		}
		n *= d
	}
	if k := t.int32(2); k < 0 || k >= len(buffers) {
		return nil, fmt.Errorf("buffer %d of %d", k, len(buffers))
	} else {
		out.Data = buffers[k]
	}
	if len(out.Zero) != len(out.Scale) && len(out.Scale) > 0 {
		return nil, fmt.Errorf("%d scales and %d zero points", len(out.Scale), len(out.Zero))
	}
	for i, z := range out.Zero {
		if z < math.MinInt8 || z > math.MaxInt8 || i < len(out.Scale) && !(out.Scale[i] >= 0 && out.Scale[i] < math.MaxFloat32) {
			return nil, fmt.Errorf("scale and zero point %d", i)
		}
	}
	size := map[Type]int{Float32: 4, Int32: 4, Bool: 1, Int8: 1}[out.Type]
	if len(out.Data) > 0 && (size == 0 || len(out.Data) != n*size) {
		return nil, fmt.Errorf("%d bytes for %v of %v", len(out.Data), out.Shape, out.Type)
	}
	return out, nil
}

// Floats gives the values of a constant of float32.
func (t *Tensor) Floats() ([]float32, error) {
	if t.Type != Float32 || len(t.Data) == 0 {
		return nil, fmt.Errorf("tflite: %q is no constant of float32", t.Name)
	}
	out := make([]float32, len(t.Data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return out, nil
}

// Ints gives the values of a constant of int32.
func (t *Tensor) Ints() ([]int, error) {
	if t.Type != Int32 || len(t.Data) == 0 {
		return nil, fmt.Errorf("tflite: %q is no constant of int32", t.Name)
	}
	out := make([]int, len(t.Data)/4)
	for i := range out {
		out[i] = int(int32(binary.LittleEndian.Uint32(t.Data[4*i:])))
	}
	return out, nil
}
