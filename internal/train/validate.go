package train

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/metrics"
)

// ValidClip is a recording of a speaker that training never hears.
type ValidClip struct {
	Path    string
	Samples []float32
}

// ValidScore holds the means over the validation clips at one setting.
type ValidScore struct {
	Kbps  float64 `json:"kbps"` // 0 without quantization
	ESTOI float64 `json:"estoi"`
	Mel   float64 `json:"mel"`    // mean |Δ log mel| of the training loss
	SISDR float64 `json:"si_sdr"` // dB
}

// LoadValid reads up to n clips, at most seconds of each.
func LoadValid(rows []Row, rate, n int, seconds float64) ([]ValidClip, error) {
	var clips []ValidClip
	for _, r := range rows[:min(n, len(rows))] {
		x, err := audio.ReadMono(r.Path, rate)
		if err != nil {
			return nil, fmt.Errorf("train: validation: %w", err)
		}
		clips = append(clips, ValidClip{r.Path, x[:min(len(x), int(seconds*float64(rate)))]})
	}
	return clips, nil
}

// Validate encodes and decodes clips without the quantizer and at every level.
func (t *Codec) Validate(clips []ValidClip) ([]ValidScore, error) {
	var scores []ValidScore
	err := t.WithAverage(func() (err error) {
		scores, err = t.validate(clips)
		return err
	})
	return scores, err
}

func (t *Codec) validate(clips []ValidClip) ([]ValidScore, error) {
	ctx := context.Background()
	checkpoint := t.Checkpoint("validation")
	checkpoint.Base = nil
	data, err := checkpoint.Marshal(false)
	if err != nil {
		return nil, err
	}
	model, err := sotto.Load(data)
	if err != nil {
		return nil, fmt.Errorf("train: validation: %w", err)
	}
	info := model.Info()
	mel, err := NewLogMel(t.Config.Model.SampleRate, t.Config.MelScales, t.Config.MelFloor)
	if err != nil {
		return nil, err
	}
	scores := []ValidScore{{}}
	if t.started() {
		for _, b := range info.Bitrates {
			scores = append(scores, ValidScore{Kbps: b / 1000})
		}
	}
	for _, c := range clips {
		for i := range scores {
			var y []float32
			if i == 0 {
				y, err = model.Reconstruct(ctx, c.Samples)
			} else {
				var tokens *codec.Tokens
				if tokens, err = model.Encode(ctx, c.Samples, info.Levels[i-1]); err == nil {
					y, err = model.Decode(ctx, tokens)
				}
			}
			if err != nil {
				return nil, fmt.Errorf("train: validation: %s: %w", c.Path, err)
			}
			y = y[:len(c.Samples)]
			n := float64(len(clips))
			estoi, err := metrics.ESTOI(c.Samples, y, info.SampleRate)
			if err != nil {
				return nil, fmt.Errorf("train: validation: %s: %w", c.Path, err)
			}
			sisdr, err := metrics.SISDR(c.Samples, y)
			if err != nil || math.IsInf(sisdr, 0) {
				sisdr = -30 // a silent output
			}
			scores[i].ESTOI += estoi / n
			scores[i].SISDR += sisdr / n
			scores[i].Mel += mel.Eval(c.Samples, y, 0, make([]float32, len(y))) / n
		}
	}
	return scores, nil
}

func validLine(scores []ValidScore) string {
	parts := make([]string, len(scores))
	for i, s := range scores {
		name := "unquantized"
		if s.Kbps > 0 {
			name = fmt.Sprintf("%g kbps", s.Kbps)
		}
		parts[i] = fmt.Sprintf("%s: ESTOI %.3f mel %.3f SI-SDR %.1f", name, s.ESTOI, s.Mel, s.SISDR)
	}
	return strings.Join(parts, "; ")
}
