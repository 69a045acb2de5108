package vocos

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/dsp"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// least is the smallest value of a band of which the logarithm is taken.
const least = 1e-7

// LogMel builds what gives log-mel frames [T, bands] of samples [N, 1]: magnitudes
// of the padded signal, the filters of the checkpoint, matrix name [bins, bands],
// and the natural logarithm.
func LogMel(c *published.Checkpoint, name string, size, hop, bands int, padding Padding) nn.Layer {
	c.Within("n_fft", size, 2*hop, 16*hop)
	c.Within("n_mels", bands, 1, size/2+1)
	if !c.Sound() {
		return nil
	}
	pad := padding.samples(size, hop)
	magnitudes, err := nn.NewMagnitudes(size, hop, nn.Padding{Left: pad, Right: pad, Mode: nn.PadReflect}, dsp.Hann(size))
	if err != nil {
		c.Fail(err)
		return nil
	}
	filters := &nn.Linear{In: size/2 + 1, Out: bands, Weight: c.Param(name, size/2+1, bands)}
	return nn.Chain{magnitudes, filters, logarithm{}}
}

// logarithm is ln max(x, least).
type logarithm struct{}

// Params is empty.
func (logarithm) Params() []*nn.Param { return nil }

// Step overwrites its input.
func (logarithm) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	s.Wait()
	for r := range x.Rows {
		row := x.Row(r)
		for i, v := range row {
			row[i] = float32(dsp.Log(float64(max(v, least))))
		}
	}
	return x
}
