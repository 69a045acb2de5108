package native

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/weights"
	"github.com/sotto-audio/sotto/rvq"
)

// Family is the name that marks the weights of this network.
const Family = "sotto"

const codebooksName = "quantizer.codebooks" // [Codebooks, Size, Dim/Groups]

// Checkpoint is a model as it is stored: its version name, shape, weights and
// codebooks.
type Checkpoint struct {
	Name      string
	Network   *Network
	Quantizer *rvq.GRVQ
	// Base, where not nil, is a model that has some of the weights: files leave out
	// those that are the same there.
	Base *Base
}

// Base is a model that others share weights with.
type Base struct {
	Name        string
	Fingerprint codec.Fingerprint
	Network     *Network
}

// Marshal gives the safetensors file of a checkpoint, in half precision where
// half is set.
func (c *Checkpoint) Marshal(half bool) ([]byte, error) {
	config, err := json.Marshal(c.Network.Config)
	if err != nil {
		return nil, fmt.Errorf("sotto: %w", err)
	}
	f := &weights.File{
		Metadata: map[string]string{"family": Family, "name": c.Name, "config": string(config)},
		Tensors:  map[string]weights.Tensor{},
	}
	if err := putQuantizer(f, c.Quantizer); err != nil {
		return nil, err
	}
	if c.Base != nil {
		f.Metadata[baseKey], f.Metadata[baseNameKey] = c.Base.Fingerprint.String(), c.Base.Name
	}
	for i, p := range c.Network.Params() {
		if c.Base != nil && slices.Equal(p.Data, c.Base.Network.Params()[i].Data) {
			continue
		}
		f.Tensors[p.Name] = weights.Tensor{Shape: p.Shape, Data: p.Data}
	}
	return f.Bytes(half)
}

// Metadata of a model that shares weights with another one.
const (
	baseKey     = "base" // its fingerprint
	baseNameKey = "base_name"
)

// Unmarshal reads a checkpoint from a safetensors file and gives the
// fingerprint of its weights. A model that shares weights with another one takes
// them from the file among bases that has them.
func Unmarshal(data []byte, bases ...[]byte) (*Checkpoint, codec.Fingerprint, error) {
	var none codec.Fingerprint
	f, err := weights.Parse(data)
	if err != nil {
		return nil, none, err
	}
	if f.Metadata["family"] != Family {
		return nil, none, fmt.Errorf("sotto: the file holds weights of family %q, not of %q", f.Metadata["family"], Family)
	}
	name := f.Metadata["name"]
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return nil, none, fmt.Errorf("sotto: the metadata names the model %q: give it a printable name of 1 to 255 bytes", name)
	}
	var config Config
	if err := json.Unmarshal([]byte(f.Metadata["config"]), &config); err != nil {
		return nil, none, fmt.Errorf("sotto: configuration in the metadata: %w", err)
	}
	base, err := findBase(f, config, bases)
	if err != nil {
		return nil, none, err
	}
	if base == nil {
		if err := config.fits(f); err != nil {
			return nil, none, err
		}
	}
	net, err := NewNetwork(config)
	if err != nil {
		return nil, none, err
	}
	for i, p := range net.Params() {
		if _, own := f.Tensors[p.Name]; !own && base != nil {
			copy(p.Data, base.Network.Params()[i].Data)
			p.Changed()
			continue
		}
		if err := fill(p, f); err != nil {
			return nil, none, err
		}
	}
	quantizer, err := readQuantizer(f, config.Quantizer)
	if err != nil {
		return nil, none, err
	}
	// The shape counts: the same numbers in another network are other weights.
	canonical, err := json.Marshal(config)
	if err != nil {
		return nil, none, fmt.Errorf("sotto: %w", err)
	}
	canonical = append(canonical, f.Metadata[quantizerKey]...)
	all := weights.File{Tensors: maps.Clone(f.Tensors)}
	for _, p := range net.Params() { // those that are shared, too
		all.Tensors[p.Name] = weights.Tensor{Shape: p.Shape, Data: p.Data}
	}
	tensors := all.Sum()
	sum := sha256.Sum256(append(canonical, tensors[:]...))
	return &Checkpoint{Name: name, Network: net, Quantizer: quantizer, Base: base}, codec.Fingerprint(sum[:8]), nil
}

// findBase finds the model that f shares weights with, nil for none.
func findBase(f *weights.File, config Config, bases [][]byte) (*Base, error) {
	want, ok := f.Metadata[baseKey]
	if !ok {
		return nil, nil
	}
	for _, data := range bases {
		c, fingerprint, err := Unmarshal(data)
		if err != nil {
			return nil, err
		}
		if fingerprint.String() != want {
			continue
		}
		same := config
		same.Quantizer.Size = c.Network.Quantizer.Size
		if same != c.Network.Config {
			return nil, fmt.Errorf("sotto: the configuration differs from that of %s, whose weights it needs, in more than the size of codebooks", c.Name)
		}
		return &Base{Name: c.Name, Fingerprint: fingerprint, Network: c.Network}, config.Validate()
	}
	return nil, fmt.Errorf("sotto: the file shares weights with %s (fingerprint %s), which this program does not have: use the version that it came with", f.Metadata[baseNameKey], want)
}

// fits refuses a configuration whose large layers are not in the file, so that a
// hostile one allocates no more than the file holds.
func (c Config) fits(f *weights.File) error {
	if err := c.Validate(); err != nil {
		return err
	}
	has := func(name string, shape ...int) error {
		if got := f.Tensors[name].Shape; !slices.Equal(got, shape) {
			return fmt.Errorf("sotto: tensor %q has shape %v, the configuration needs %v", name, got, shape)
		}
		return nil
	}
	features := c.features()
	if err := errors.Join(
		has("encoder.input.weight", features, c.Width),
		has("encoder.skip.weight", features, c.Quantizer.Dim),
		has("encoder.project.weight", c.Width, c.Quantizer.Dim),
		has("decoder.output.weight", c.Width, c.FFT+2),
		has("decoder.skip.weight", c.Quantizer.Dim, c.FFT+2),
	); err != nil {
		return err
	}
	for side, blocks := range map[string]int{"encoder": c.EncoderBlocks, "decoder": c.DecoderBlocks} {
		for i := range blocks {
			name := fmt.Sprintf("%s.block%d.", side, i)
			if err := errors.Join(
				has(name+"depthwise.weight", c.Taps, c.Width),
				has(name+"expand.weight", c.Width, c.Width*c.Expansion),
			); err != nil {
				return err
			}
		}
	}
	return nil
}

func fill(p *nn.Param, f *weights.File) error {
	t, ok := f.Tensors[p.Name]
	if !ok {
		return fmt.Errorf("sotto: tensor %q is missing", p.Name)
	}
	if !slices.Equal(t.Shape, p.Shape) {
		return fmt.Errorf("sotto: tensor %q has shape %v, the configuration needs %v", p.Name, t.Shape, p.Shape)
	}
	copy(p.Data, t.Data)
	p.Changed()
	return nil
}
