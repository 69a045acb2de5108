package native

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
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
}

// Marshal gives the safetensors file of a checkpoint, in half precision where
// half is set.
func (c *Checkpoint) Marshal(half bool) ([]byte, error) {
	config, err := json.Marshal(c.Network.Config)
	if err != nil {
		return nil, fmt.Errorf("sotto: %w", err)
	}
	q := c.Network.Config.Quantizer
	f := &weights.File{
		Metadata: map[string]string{"family": Family, "name": c.Name, "config": string(config)},
		Tensors: map[string]weights.Tensor{
			codebooksName: {Shape: []int{q.Codebooks(), q.Size, q.Dim / q.Groups}, Data: c.Quantizer.Entries()},
		},
	}
	for _, p := range c.Network.Params() {
		f.Tensors[p.Name] = weights.Tensor{Shape: p.Shape, Data: p.Data}
	}
	return f.Bytes(half)
}

// Unmarshal reads a checkpoint from a safetensors file and gives the
// fingerprint of its weights.
func Unmarshal(data []byte) (*Checkpoint, codec.Fingerprint, error) {
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
	if err := config.fits(f); err != nil {
		return nil, none, err
	}
	net, err := NewNetwork(config)
	if err != nil {
		return nil, none, err
	}
	for _, p := range net.Params() {
		if err := fill(p, f); err != nil {
			return nil, none, err
		}
	}
	quantizer, err := rvq.New(config.Quantizer, f.Tensors[codebooksName].Data)
	if err != nil {
		return nil, none, err
	}
	// The shape counts: the same numbers in another network are other weights.
	canonical, err := json.Marshal(config)
	if err != nil {
		return nil, none, fmt.Errorf("sotto: %w", err)
	}
	tensors := f.Sum()
	sum := sha256.Sum256(append(canonical, tensors[:]...))
	return &Checkpoint{Name: name, Network: net, Quantizer: quantizer}, codec.Fingerprint(sum[:8]), nil
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
