package published

import (
	"fmt"
	"io"

	"github.com/sotto-audio/sotto/internal/weights"
)

// Convert writes a checkpoint as one safetensors file that says what it is: the
// arrays that the model uses under their own names, with family, name and
// configuration in the metadata. It gives the codec that the file holds.
func Convert(w io.Writer, path string) (*Codec, error) {
	c, family, model, err := build(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	f := &weights.File{Metadata: map[string]string{"family": family, "name": model.Name}, Tensors: map[string]weights.Tensor{}}
	if c.config != nil {
		f.Metadata[configKey] = string(c.config)
	}
	for name, value := range c.values {
		f.Metadata[valueKey+name] = fmt.Sprint(value)
	}
	for name := range c.used {
		t, err := c.source.Tensor(name)
		if err != nil {
			return nil, err
		}
		f.Tensors[name] = t
	}
	data, err := f.Bytes(false)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	return New(family, model), nil
}

// valueKey begins the metadata of numbers and texts that the model asked for.
const valueKey = "value:"
