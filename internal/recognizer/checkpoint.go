package recognizer

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
)

// Family is the name that marks the weights of this network.
const Family = "sotto-asr"

// Checkpoint is a recogniser as it is stored.
type Checkpoint struct {
	Name    string
	Codec   codec.Fingerprint // of the codec whose latents the network reads
	Search  Search
	Network *Network
}

// Search holds what was measured on validation rows for decoding with the network's
// scores; it travels with the weights.
type Search struct {
	BeginShift    int     `json:"begin_shift_ms"` // of words, from the peaks of their symbols
	EndShift      int     `json:"end_shift_ms"`   //
	LMWeight      float64 `json:"lm_weight"`      // of a language model's log-probabilities
	LMBonus       float64 `json:"lm_bonus"`       // for each word
	LMLetter      float64 `json:"lm_letter"`      // for each letter of a word
	LMUnknown     float64 `json:"lm_unknown"`     // for each word that the language model does not know
	MinConfidence float64 `json:"min_confidence"` // of a word
	Opening       float64 `json:"opening"`        // certainty that an utterance begins with, in letters
	Languages     string  `json:"languages"`      // ISO 639-1 codes, with commas
}

// Marshal gives the safetensors file of a checkpoint, in half precision where half
// is set. What only training uses is left out.
func (c *Checkpoint) Marshal(half bool) ([]byte, error) {
	config, err := json.Marshal(c.Network.Config)
	if err != nil {
		return nil, fmt.Errorf("recognizer: %w", err)
	}
	search, err := json.Marshal(c.Search)
	if err != nil {
		return nil, fmt.Errorf("recognizer: %w", err)
	}
	f := &weights.File{
		Metadata: map[string]string{
			"family": Family, "name": c.Name, "codec": c.Codec.String(), "config": string(config), "search": string(search),
		},
		Tensors: map[string]weights.Tensor{},
	}
	for _, p := range c.Network.running() {
		f.Tensors[p.Name] = weights.Tensor{Shape: p.Shape, Data: p.Data}
	}
	return f.Bytes(half)
}

// running lists the weights that a recogniser that runs needs.
func (n *Network) running() []*nn.Param {
	all := n.Params()
	return all[:len(all)-len(n.Middle.Params())]
}

// Parameters is the number of trained values of a recogniser that runs.
func (n *Network) Parameters() (sum int) {
	for _, p := range n.running() {
		sum += p.Len()
	}
	return sum
}

// Unmarshal reads a checkpoint from a safetensors file and gives the fingerprint
// of its weights.
func Unmarshal(data []byte) (*Checkpoint, codec.Fingerprint, error) {
	var none codec.Fingerprint
	f, err := weights.Parse(data)
	if err != nil {
		return nil, none, err
	}
	if f.Metadata["family"] != Family {
		return nil, none, fmt.Errorf("recognizer: the file holds weights of family %q, not of %q", f.Metadata["family"], Family)
	}
	c := &Checkpoint{Name: f.Metadata["name"]}
	if c.Name == "" || len(c.Name) > 255 || strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return nil, none, fmt.Errorf("recognizer: the metadata names the model %q: give it a printable name of 1 to 255 bytes", c.Name)
	}
	if c.Codec, err = codec.ParseFingerprint(f.Metadata["codec"]); err != nil {
		return nil, none, fmt.Errorf("recognizer: codec in the metadata: %w", err)
	}
	if err := json.Unmarshal([]byte(f.Metadata["search"]), &c.Search); err != nil {
		return nil, none, fmt.Errorf("recognizer: search in the metadata: %w", err)
	}
	var config Config
	if err := json.Unmarshal([]byte(f.Metadata["config"]), &config); err != nil {
		return nil, none, fmt.Errorf("recognizer: configuration in the metadata: %w", err)
	}
	if err := config.fits(f); err != nil {
		return nil, none, err
	}
	if c.Network, err = NewNetwork(config); err != nil {
		return nil, none, err
	}
	for _, p := range c.Network.running() {
		t := f.Tensors[p.Name]
		if !slices.Equal(t.Shape, p.Shape) {
			return nil, none, fmt.Errorf("recognizer: tensor %q has shape %v, the configuration needs %v", p.Name, t.Shape, p.Shape)
		}
		copy(p.Data, t.Data)
		p.Changed()
	}
	canonical, err := json.Marshal(config)
	if err != nil {
		return nil, none, fmt.Errorf("recognizer: %w", err)
	}
	tensors := f.Sum()
	sum := sha256.Sum256(append(canonical, tensors[:]...))
	return c, codec.Fingerprint(sum[:8]), nil
}

// fits refuses a configuration whose large layers are not in the file, so that a
// hostile one allocates no more than the file holds.
func (c Config) fits(f *weights.File) error {
	if err := c.Validate(); err != nil {
		return err
	}
	has := func(name string, shape ...int) error {
		if got := f.Tensors[name].Shape; !slices.Equal(got, shape) {
			return fmt.Errorf("recognizer: tensor %q has shape %v, the configuration needs %v", name, got, shape)
		}
		return nil
	}
	hidden := c.Width * c.Expansion
	if err := errors.Join(
		has("front.expand.weight", c.Inputs, 6*c.Inputs), has("front.depthwise.weight", c.Taps, c.Inputs),
		has("input.weight", Fast*c.Inputs, c.Width),
		has("local.expand.weight", c.Width, c.Width*c.Side), has("local.depthwise.weight", c.Taps+c.Lookahead, c.Width),
	); err != nil {
		return err
	}
	for i := range c.Blocks {
		if err := has(fmt.Sprintf("block%d.conv.expand.weight", i), c.Width, hidden); err != nil {
			return err
		}
	}
	return nil
}
