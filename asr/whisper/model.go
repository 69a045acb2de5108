// Package whisper runs speech recognisers of the Whisper family (Radford et al.
// 2022, "Robust Speech Recognition via Large-Scale Weak Supervision"): weights of
// the original code, of Transformers and of whisper.cpp, on whole recordings as
// they were trained, or live, with a block-causal encoder and adapters as in
// WhisperRT (arXiv:2508.12301).
package whisper

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// Model is a loaded checkpoint. It is safe for concurrent use.
type Model struct {
	dims       dims
	tokenizer  *Tokenizer
	backend    backend.Backend
	mel        *melBands
	encoder    *encoder
	decoder    *decoder
	parameters int
	// alignment lists the (layer, head) pairs of the decoder whose attention
	// follows the words.
	alignment [][2]int
	// suppressed are tokens that are no speech.
	suppressed []int32
}

// newModel lays the weights of a checkpoint out.
func newModel(c *checkpoint, b backend.Backend, p backend.Precision, adapter *Adapter) (*Model, error) {
	t, err := NewTokenizer(c.dims.Vocabulary)
	if err != nil {
		return nil, err
	}
	l := &loader{checkpoint: c, backend: b, precision: p, adapter: adapter}
	m := &Model{dims: c.dims, tokenizer: t, backend: b, mel: newMelBands(c.dims.Mels), encoder: l.encoder(), decoder: l.decoder()}
	if l.err != nil {
		return nil, l.err
	}
	m.parameters = l.count
	m.suppressed = t.notSpeech()
	m.alignment = c.alignment
	for _, a := range m.alignment {
		if a[0] < 0 || a[0] >= c.dims.TextLayers || a[1] < 0 || a[1] >= c.dims.TextHeads {
			return nil, fmt.Errorf("whisper: there is no attention head %v to align words with", a)
		}
	}
	if m.alignment == nil {
		m.alignment = alignmentHeads(c.dims)
	}
	return m, nil
}

// load reads a checkpoint.
func load(path string, threads int, p backend.Precision, adapter *Adapter) (*Model, error) {
	c, err := openCheckpoint(path)
	if err != nil {
		return nil, fmt.Errorf("whisper: %w", err)
	}
	defer c.Close()
	m, err := newModel(c, cpu.New(threads), p, adapter)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
