package whisper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sotto-audio/sotto/internal/weights"
)

// dims are the sizes of a model, under the names of its papers' code.
type dims struct {
	Mels                                              int
	AudioContext, AudioWidth, AudioHeads, AudioLayers int
	Vocabulary                                        int
	TextContext, TextWidth, TextHeads, TextLayers     int
}

// check refuses sizes that no model can have, before memory is laid out for them.
func (d *dims) check() error {
	const wide, deep, long, words = 1 << 13, 1 << 8, 1 << 16, 1 << 20
	for _, c := range []struct {
		name  string
		value int
		most  int
	}{
		{"mel bands", d.Mels, 1 << 10}, {"audio context", d.AudioContext, long}, {"audio width", d.AudioWidth, wide},
		{"audio heads", d.AudioHeads, wide}, {"audio layers", d.AudioLayers, deep}, {"vocabulary", d.Vocabulary, words},
		{"text context", d.TextContext, long}, {"text width", d.TextWidth, wide}, {"text heads", d.TextHeads, wide},
		{"text layers", d.TextLayers, deep},
	} {
		if c.value < 1 || c.value > c.most {
			return fmt.Errorf("its %s is %d", c.name, c.value)
		}
	}
	if d.AudioWidth%d.AudioHeads != 0 || d.TextWidth%d.TextHeads != 0 {
		return fmt.Errorf("its widths %d and %d do not divide into %d and %d heads", d.AudioWidth, d.TextWidth, d.AudioHeads, d.TextHeads)
	}
	if d.AudioWidth != d.TextWidth {
		return fmt.Errorf("its widths %d and %d differ", d.AudioWidth, d.TextWidth)
	}
	return nil
}

// checkpoint is an open file of weights. Tensors have the names of the original
// code ("encoder.blocks.0.attn.query.weight") and PyTorch's layout, matrices
// [out, in].
type checkpoint struct {
	dims dims
	read func(name string) (weights.Tensor, error)
	// alignment lists the (layer, head) pairs whose attention follows the words, if
	// the file tells.
	alignment [][2]int
	closer    io.Closer
}

// tensor reads one tensor and checks its shape.
func (c *checkpoint) tensor(name string, shape ...int) ([]float32, error) {
	t, err := c.read(name)
	if err != nil {
		return nil, err
	}
	n, m := 1, 1
	for _, d := range shape {
		n *= d
	}
	for _, d := range t.Shape {
		m *= d
	}
	// ggml drops sizes of one.
	if n != m || len(t.Data) != n || !sameShape(t.Shape, shape) {
		return nil, fmt.Errorf("tensor %q has the shape %v, not %v", name, t.Shape, shape)
	}
	return t.Data, nil
}

// sameShape compares shapes but for sizes of one.
func sameShape(a, b []int) bool {
	i := 0
	for _, d := range b {
		for i < len(a) && a[i] == 1 && d != 1 {
			i++
		}
		if i < len(a) && a[i] == d {
			i++
		} else if d != 1 {
			return false
		}
	}
	for ; i < len(a); i++ {
		if a[i] != 1 {
			return false
		}
	}
	return true
}

// openCheckpoint opens the weights at path: a .pt file of the original code, a
// folder with config.json and model.safetensors as Transformers saves it (or that
// safetensors file), or a ggml file.
func openCheckpoint(path string) (*checkpoint, error) {
	c, err := openAny(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.dims.check(); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func openAny(path string) (*checkpoint, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if info.IsDir() {
		return openTransformers(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	var c *checkpoint
	switch format(f) {
	case formatGGML:
		c, err = openGGML(f, info.Size())
	case formatPyTorch:
		c, err = openPyTorch(f, info.Size())
	case formatSafetensors:
		f.Close()
		return openTransformers(filepath.Dir(path))
	default:
		err = errors.New("neither a .pt, a safetensors nor a ggml file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	c.closer = f
	return c, nil
}

// Close closes the files.
func (c *checkpoint) Close() error {
	if c.closer == nil {
		return nil
	}
	return c.closer.Close()
}

type fileFormat int

const (
	formatUnknown fileFormat = iota
	formatGGML
	formatPyTorch
	formatSafetensors
)

// format tells formats by their first bytes.
func format(r io.ReaderAt) fileFormat {
	var head [9]byte
	n, _ := r.ReadAt(head[:], 0)
	switch {
	case n < len(head):
		return formatUnknown
	case string(head[:4]) == "lmgg":
		return formatGGML
	case string(head[:4]) == "PK\x03\x04", head[0] == 0x80 && head[1] <= 5:
		return formatPyTorch
	case head[8] == '{':
		return formatSafetensors
	}
	return formatUnknown
}

// openPyTorch reads what the original code saves: {"dims": {…},
// "model_state_dict": {…}}.
func openPyTorch(r io.ReaderAt, size int64) (*checkpoint, error) {
	p, err := weights.OpenPyTorch(r, size)
	if err != nil {
		return nil, err
	}
	c := &checkpoint{}
	for name, to := range map[string]*int{
		"n_mels":      &c.dims.Mels,
		"n_audio_ctx": &c.dims.AudioContext, "n_audio_state": &c.dims.AudioWidth,
		"n_audio_head": &c.dims.AudioHeads, "n_audio_layer": &c.dims.AudioLayers,
		"n_vocab":    &c.dims.Vocabulary,
		"n_text_ctx": &c.dims.TextContext, "n_text_state": &c.dims.TextWidth,
		"n_text_head": &c.dims.TextHeads, "n_text_layer": &c.dims.TextLayers,
	} {
		v, _ := p.Value("dims." + name)
		n, ok := v.(int64)
		if !ok {
			return nil, fmt.Errorf("it has no dims.%s: is it a Whisper checkpoint of the original code?", name)
		}
		*to = int(n)
	}
	c.read = func(name string) (weights.Tensor, error) { return p.Tensor("model_state_dict." + name) }
	return c, nil
}
