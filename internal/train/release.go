package train

import (
	"path/filepath"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend"
)

// Release writes the weights of a run, averaged where the run averaged them, in
// half precision, and gives the fingerprint of what was written.
func Release(dir, name, out string, device backend.Backend) (codec.Fingerprint, error) {
	var none codec.Fingerprint
	path := filepath.Join(dir, CheckpointName)
	config, err := CheckpointConfig(path)
	if err != nil {
		return none, err
	}
	t, err := NewCodec(config, nil, device)
	if err != nil {
		return none, err
	}
	if err := t.Load(path); err != nil {
		return none, err
	}
	var data []byte
	err = t.WithAverage(func() (err error) {
		data, err = t.Checkpoint(name).Marshal(true)
		return err
	})
	if err != nil {
		return none, err
	}
	_, fingerprint, err := sotto.Unmarshal(data)
	if err != nil {
		return none, err
	}
	return fingerprint, writeFile(out, data)
}
