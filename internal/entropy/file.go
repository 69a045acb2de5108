package entropy

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nlpodyssey/safetensors"
)

// Family marks the files of networks.
const Family = "sotto-entropy"

// tensor is an array of a file: a pointer to a slice of Weights, and its shape.
type tensor struct {
	name  string
	data  any
	shape []int
}

func tensors(c Config, w *Weights) []tensor {
	q, f, leaves := c.Codebooks, c.Features(), 1<<c.Depth()
	return []tensor{
		{"ranks", &w.Ranks, []int{q, c.Size}},
		{"embedding", &w.Embedding, []int{q, c.Size, c.Dim}},
		{"trunk", &w.Trunk, []int{f, c.Trunk}},
		{"trunk_bias", &w.TrunkBias, []int{q, c.Trunk}},
		{"skip", &w.Skip, []int{f, c.Hidden}},
		{"mix", &w.Mix, []int{c.Trunk, c.Hidden}},
		{"part", &w.Part, []int{q, c.Dim, c.Hidden}},
		{"bias", &w.Bias, []int{q, c.Hidden}},
		{"out", &w.Out, []int{q, c.Hidden, c.Out}},
		{"out_bias", &w.OutBias, []int{q, c.Out}},
		{"nodes", &w.Nodes, []int{q, leaves, c.Out}},
		{"node_bias", &w.NodeBias, []int{q, leaves}},
		{"static", &w.Static, []int{q, leaves}},
		{"sigmoid", &w.Sigmoid, []int{logits}},
	}
}

// Marshal gives the safetensors file of a network for the codes of a model,
// which the fingerprint of its weights names.
func (n *Network) Marshal(weights [8]byte) ([]byte, error) {
	config, err := json.Marshal(n.Config)
	if err != nil {
		return nil, fmt.Errorf("entropy: %w", err)
	}
	views := map[string]safetensors.TensorView{}
	for _, t := range tensors(n.Config, &n.w) {
		var kind safetensors.DType
		var raw []byte
		var err error
		switch v := t.data.(type) {
		case *[]int8:
			kind = safetensors.I8
			raw, err = binary.Append(nil, binary.LittleEndian, *v)
		case *[]int16:
			kind = safetensors.I16
			raw, err = binary.Append(nil, binary.LittleEndian, *v)
		case *[]uint16:
			kind = safetensors.U16
			raw, err = binary.Append(nil, binary.LittleEndian, *v)
		case *[]int32:
			kind = safetensors.I32
			raw, err = binary.Append(nil, binary.LittleEndian, *v)
		}
		if err != nil {
			return nil, fmt.Errorf("entropy: tensor %q: %w", t.name, err)
		}
		shape := make([]uint64, len(t.shape))
		for i, d := range t.shape {
			shape[i] = uint64(d)
		}
		if views[t.name], err = safetensors.NewTensorView(kind, shape, raw); err != nil {
			return nil, fmt.Errorf("entropy: tensor %q: %w", t.name, err)
		}
	}
	data, err := safetensors.Serialize(views, map[string]string{
		"family": Family, "weights": hex.EncodeToString(weights[:]), "config": string(config),
	})
	if err != nil {
		return nil, fmt.Errorf("entropy: %w", err)
	}
	return data, nil
}

// Unmarshal reads the file of a network and gives the fingerprint of the weights
// that it is for.
func Unmarshal(data []byte) (*Network, [8]byte, error) {
	var weights [8]byte
	st, err := safetensors.Deserialize(data)
	if err != nil {
		return nil, weights, fmt.Errorf("entropy: not a whole safetensors file: %w", err)
	}
	_, head, err := safetensors.ReadMetadata(data)
	if err != nil {
		return nil, weights, fmt.Errorf("entropy: %w", err)
	}
	meta := head.Metadata()
	if meta["family"] != Family {
		return nil, weights, fmt.Errorf("entropy: the file is of family %q, not of %q", meta["family"], Family)
	}
	fingerprint, err := hex.DecodeString(meta["weights"])
	if err != nil || len(fingerprint) != len(weights) {
		return nil, weights, errors.New("entropy: the metadata does not name the weights by their fingerprint")
	}
	copy(weights[:], fingerprint)
	var c Config
	if err := json.Unmarshal([]byte(meta["config"]), &c); err != nil {
		return nil, weights, fmt.Errorf("entropy: configuration in the metadata: %w", err)
	}
	if err := c.Validate(); err != nil {
		return nil, weights, err
	}
	var w Weights
	for _, t := range tensors(c, &w) {
		view, ok := st.Tensor(t.name)
		if !ok {
			return nil, weights, fmt.Errorf("entropy: tensor %q is missing", t.name)
		}
		var shape []int
		n := 1
		for _, d := range view.Shape() {
			shape = append(shape, int(d))
		}
		for _, d := range t.shape {
			n *= d
		}
		if !slices.Equal(shape, t.shape) {
			return nil, weights, fmt.Errorf("entropy: tensor %q has shape %v, the configuration needs %v", t.name, shape, t.shape)
		}
		raw := view.Data()
		kind := view.DType()
		switch v := t.data.(type) {
		case *[]int8:
			ok = kind == safetensors.I8 && len(raw) == n
			*v, err = decode[int8](raw, n, ok)
		case *[]int16:
			ok = kind == safetensors.I16 && len(raw) == 2*n
			*v, err = decode[int16](raw, n, ok)
		case *[]uint16:
			ok = kind == safetensors.U16 && len(raw) == 2*n
			*v, err = decode[uint16](raw, n, ok)
		case *[]int32:
			ok = kind == safetensors.I32 && len(raw) == 4*n
			*v, err = decode[int32](raw, n, ok)
		}
		if !ok || err != nil {
			return nil, weights, fmt.Errorf("entropy: tensor %q has %d bytes of %v", t.name, len(raw), kind)
		}
	}
	n, err := NewNetwork(c, w)
	return n, weights, err
}

func decode[T any](raw []byte, n int, ok bool) ([]T, error) {
	if !ok {
		return nil, nil
	}
	v := make([]T, n)
	_, err := binary.Decode(raw, binary.LittleEndian, v)
	return v, err
}
