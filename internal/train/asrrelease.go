package train

import (
	"fmt"
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

// Mix is a released model that keeps a share of the weights of one trained further
// from it: the straight line between both is often better on what either knows
// (Wortsman et al. 2022, robust fine-tuning).
type Mix struct {
	Path  string // empty for none
	Share float64
}

// ReleaseASR writes the averaged weights of a recogniser's run in half precision, with
// their share of another model's, and gives the fingerprint of what was written.
func ReleaseASR(dir, name, weights string, search recognizer.Search, mix Mix, device backend.Backend) (codec.Fingerprint, error) {
	var none codec.Fingerprint
	path := filepath.Join(dir, CheckpointName)
	f, config, err := readASRCheckpoint(path)
	if err != nil {
		return none, err
	}
	if config.Rebuild {
		return none, fmt.Errorf("train: %s was only warmed up and cannot write: train it first, sotto-train asr --init %s", dir, path)
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
	if err := mix.into(network); err != nil {
		return none, err
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

// into moves the weights of a network towards the model's.
func (m Mix) into(network *recognizer.Network) error {
	if m.Path == "" {
		return nil
	}
	other, err := readReleased(m.Path)
	if err != nil {
		return err
	}
	if other == nil {
		return fmt.Errorf("train: %s is no released recogniser", m.Path)
	}
	if other.Network.Config != network.Config {
		return fmt.Errorf("train: %s has another shape than the run's network", m.Path)
	}
	share := float32(m.Share)
	for i, p := range network.Params() {
		for k, v := range other.Network.Params()[i].Data {
			p.Data[k] += share * (v - p.Data[k])
		}
	}
	return nil
}
