package train

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend"
)

// Release writes the weights of a run, averaged where the run averaged them, in
// half precision to weights, and what is known about them as Markdown to card
// (left out where empty). It gives the fingerprint of what was written.
func Release(dir, name, weights, card string, device backend.Backend) (codec.Fingerprint, error) {
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
	if !t.quantizer.Started() {
		return none, fmt.Errorf("train: release: %s has no codebooks yet: train for more than %d updates", path, config.KMeansStep)
	}
	var data []byte
	err = t.WithAverage(func() (err error) {
		data, err = t.Checkpoint(name).Marshal(true)
		return err
	})
	if err != nil {
		return none, err
	}
	model, err := sotto.Load(data)
	if err != nil {
		return none, err
	}
	info := model.Info()
	if err := WriteFile(weights, data); err != nil || card == "" {
		return info.Fingerprint, err
	}
	records, err := ReadLog(filepath.Join(dir, LogName))
	if err != nil {
		return none, fmt.Errorf("train: release: %w", err)
	}
	text, err := t.card(info, records)
	if err != nil {
		return none, err
	}
	return info.Fingerprint, WriteFile(card, text)
}

// card is the part of a model card that a run knows.
func (t *Codec) card(info codec.Info, records []Record) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", info.Name)
	for _, row := range [][2]string{
		{"fingerprint", info.Fingerprint.String()},
		{"parameters", fmt.Sprint(info.Parameters)},
		{"sample rate", fmt.Sprintf("%d Hz", info.SampleRate)},
		{"token frames", fmt.Sprintf("%g a second", info.FrameRate)},
		{"algorithmic latency", info.Latency.String()},
		{"updates", fmt.Sprint(t.Step)},
		{"audio seen", fmt.Sprintf("%.1f hours", t.record().AudioSeconds/3600)},
		{"time", fmt.Sprintf("%.0f minutes", t.Elapsed.Minutes())},
	} {
		fmt.Fprintf(&b, "- %s: %s\n", row[0], row[1])
	}
	var scores []ValidScore
	for _, r := range records {
		if len(r.Valid) > 0 {
			scores = r.Valid
		}
	}
	if scores != nil {
		b.WriteString("\nThe run's last validation, on speakers that training never heard:\n\n| bitrate | ESTOI | mel distance of the loss | SI-SDR |\n|---|---|---|---|\n")
		for _, s := range scores {
			name := "without quantization"
			if s.Kbps > 0 {
				name = fmt.Sprintf("%g kbps", s.Kbps)
			}
			fmt.Fprintf(&b, "| %s | %.3f | %.3f | %.1f dB |\n", name, s.ESTOI, s.Mel, s.SISDR)
		}
	}
	recipe, err := json.MarshalIndent(t.Config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("train: release: %w", err)
	}
	fmt.Fprintf(&b, "\nRecipe, as `sotto-train codec --config` takes it:\n\n```json\n%s\n```\n", recipe)
	return []byte(b.String()), nil
}
