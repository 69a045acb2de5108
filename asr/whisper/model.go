// Package whisper runs speech recognisers of the Whisper family (Radford et al.
// 2022, "Robust Speech Recognition via Large-Scale Weak Supervision"): weights of
// the original code, of Transformers and of whisper.cpp, on whole recordings as
// they were trained, or live, with a block-causal encoder and adapters as in
// WhisperRT (arXiv:2508.12301).
package whisper

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// Model is a checkpoint. It is safe for concurrent use.
type Model struct {
	dims      dims
	tokenizer *Tokenizer
	backend   backend.Backend
	mel       *melBands
	// suppressed are tokens that are no speech.
	suppressed []int32
	// alignment lists the (layer, head) pairs of the decoder whose attention
	// follows the words.
	alignment [][2]int

	path      string
	precision backend.Precision
	adapter   *Adapter
	open      func() (*checkpoint, error)
	keep      bool // the matrices, too, not only their packed form
	// ready lays the weights out when they are first needed.
	ready      func() error
	encoder    *encoder
	decoder    *decoder
	parameters int
}

// Precision names the arithmetic of a model's matrices.
type Precision string

// Precisions.
const (
	Float32  Precision = "f32"
	BFloat16 Precision = "bf16"
	Int8     Precision = "int8"
	TF32     Precision = "tf32"
)

// Load opens a checkpoint: a .pt file of the original code, a folder that
// Transformers saved (or the model.safetensors in it), or a ggml file of
// whisper.cpp. Errors name the file. Its weights are read when they are first
// needed.
func Load(path string) (*Model, error) { return open(path, cpu.New(0), backend.Float32, nil) }

// In gives the model with matrices of another precision.
func (m *Model) In(p Precision) (*Model, error) {
	for _, known := range backend.Precisions {
		if known.String() == string(p) {
			return open(m.path, m.backend, known, m.adapter)
		}
	}
	return nil, fmt.Errorf("whisper: there is no precision %q", p)
}

// With gives the model with an adapter, which is merged into its weights.
func (m *Model) With(a *Adapter) (*Model, error) {
	if err := a.fits(m.dims); err != nil {
		return nil, err
	}
	return open(m.path, m.backend, m.precision, a)
}

func open(path string, b backend.Backend, p backend.Precision, a *Adapter) (*Model, error) {
	c, err := openCheckpoint(path)
	if err != nil {
		return nil, fmt.Errorf("whisper: %w", err)
	}
	c.Close()
	m, err := newModel(c, b, p, a)
	if err != nil {
		return nil, fmt.Errorf("whisper: %s: %w", path, err)
	}
	m.path = path
	m.open = func() (*checkpoint, error) { return openCheckpoint(path) }
	m.prepare()
	return m, nil
}

// prepare sets ready.
func (m *Model) prepare() {
	m.ready = once(func() error {
		c, err := m.open()
		if err != nil {
			return fmt.Errorf("whisper: %w", err)
		}
		defer c.Close()
		if err := m.layOut(c); err != nil {
			return fmt.Errorf("whisper: %s: %w", m.path, err)
		}
		return nil
	})
}

// once gives a function that calls f until it succeeds or gives an error of its own: a
// device that fails may do better the next time.
func once(f func() error) func() error {
	var mu sync.Mutex
	var result error
	done := false
	return func() (err error) {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return result
		}
		defer backend.Recover(&err)
		result = f()
		done = true
		return result
	}
}

// whole gives the model with its matrices kept, as training needs them.
func (m *Model) whole() (*Model, error) {
	w := *m
	w.keep = true
	w.prepare()
	return &w, w.ready()
}

// newModel makes a model of a checkpoint, without its weights.
func newModel(c *checkpoint, b backend.Backend, p backend.Precision, a *Adapter) (*Model, error) {
	t, err := NewTokenizer(c.dims.Vocabulary)
	if err != nil {
		return nil, err
	}
	m := &Model{dims: c.dims, tokenizer: t, backend: b, mel: newMelBands(c.dims.Mels), precision: p, adapter: a, alignment: c.alignment}
	m.suppressed = t.notSpeech()
	for _, h := range m.alignment {
		if h[0] < 0 || h[0] >= c.dims.TextLayers || h[1] < 0 || h[1] >= c.dims.TextHeads {
			return nil, fmt.Errorf("there is no attention head %v to align words with", h)
		}
	}
	if m.alignment == nil {
		m.alignment = alignmentHeads(c.dims)
	}
	m.open = func() (*checkpoint, error) { return c, nil }
	m.prepare()
	return m, nil
}

// layOut packs the weights.
func (m *Model) layOut(c *checkpoint) error {
	l := &loader{checkpoint: c, backend: m.backend, precision: m.precision, adapter: m.adapter, keep: m.keep}
	m.encoder, m.decoder = l.encoder(), l.decoder()
	m.parameters = l.count
	return l.err
}

// name is that of the file or folder without ending.
func (m *Model) name() string {
	base := filepath.Base(m.path)
	if base == "model.safetensors" {
		base = filepath.Base(filepath.Dir(m.path))
	}
	return strings.TrimSuffix(base, filepath.Ext(base))
}
