package train

import (
	"path/filepath"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// IsASR says whether the run in a folder is that of a recogniser.
func IsASR(dir string) bool {
	_, err := ASRCheckpointConfig(filepath.Join(dir, CheckpointName))
	return err == nil
}

// ReleaseASR writes the averaged weights of a recogniser's run in half precision,
// and gives the fingerprint of what was written.
func ReleaseASR(dir, name, weights string, search recognizer.Search, device backend.Backend) (codec.Fingerprint, error) {
	var none codec.Fingerprint
	path := filepath.Join(dir, CheckpointName)
	f, config, err := readASRCheckpoint(path)
	if err != nil {
		return none, err
	}
	network, err := recognizer.NewNetwork(config.Model)
	if err != nil {
		return none, err
	}
	for _, p := range network.Params() {
		kind := "average."
		if _, ok := f.Tensors[kind+p.Name]; !ok {
			kind = "weight."
		}
		copy(p.Data, f.Tensors[kind+p.Name].Data)
	}
	c := &recognizer.Checkpoint{Name: name, Network: network, Search: search}
	if c.Codec, err = codec.ParseFingerprint(f.Metadata["codec"]); err != nil {
		return none, err
	}
	data, err := c.Marshal(true)
	if err != nil {
		return none, err
	}
	_, fingerprint, err := recognizer.Unmarshal(data)
	if err != nil {
		return none, err
	}
	return fingerprint, WriteFile(weights, data)
}
