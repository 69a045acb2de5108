package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/sotto-audio/sotto/internal/nn"
)

// LoRAConfig describes low-rank adapters (Hu et al. 2022): the matrices W [in, out]
// of chosen layers become W + Alpha/Rank·Down·Up, with Down [in, Rank] and Up
// [Rank, out], and these alone are trained. The layers stay as they are: the sum is
// taken after each update, so that an adapted model runs like any other.
type LoRAConfig struct {
	Rank   int      `json:"rank"`
	Alpha  float64  `json:"alpha"`
	Layers []string `json:"layers"` // matrices whose name contains one of these, all where none are given
}

// LoRA are the adapters of a model.
type LoRA struct {
	scale    float32
	adapters []adapter
}

type adapter struct {
	full     *Weight   // the matrix, with the gradient that layers give
	base     []float32 // its values without the adapter
	down, up *Weight
}

// NewLoRA adapts matrices among the weights. Up starts at zero, so that the model
// is what it was.
func NewLoRA(c LoRAConfig, weights []*Weight, rng *rand.Rand) (*LoRA, error) {
	if c.Rank < 1 || c.Alpha <= 0 {
		return nil, fmt.Errorf("train: adapters of rank %d and alpha %g: both must be above 0", c.Rank, c.Alpha)
	}
	l := &LoRA{scale: float32(c.Alpha / float64(c.Rank))}
	for _, w := range weights {
		if !c.adapts(w.Param) {
			continue
		}
		in, out := w.Shape[0], w.Shape[1]
		a := adapter{full: w, base: append([]float32(nil), w.Data...)}
		a.down = newWeight(nil, nn.NewParam(w.Name+".lora_down", in, c.Rank))
		a.up = newWeight(nil, nn.NewParam(w.Name+".lora_up", c.Rank, out))
		for i := range a.down.Data {
			a.down.Data[i] = float32(rng.NormFloat64() / math.Sqrt(float64(in)))
		}
		l.adapters = append(l.adapters, a)
	}
	if l.adapters == nil {
		return nil, fmt.Errorf("train: no matrix has a name with one of %q", c.Layers)
	}
	return l, nil
}

func (c LoRAConfig) adapts(p *nn.Param) bool {
	if len(p.Shape) != 2 || min(p.Shape[0], p.Shape[1]) <= c.Rank {
		return false
	}
	for _, name := range c.Layers {
		if strings.Contains(p.Name, name) {
			return true
		}
	}
	return len(c.Layers) == 0
}

// Weights lists what is trained.
func (l *LoRA) Weights() (all []*Weight) {
	for _, a := range l.adapters {
		all = append(all, a.down, a.up)
	}
	return all
}

// Gradients takes those of the adapters from those of their matrices.
func (l *LoRA) Gradients() {
	each(l.adapters, func(_ int, a adapter) {
		in, rank, out := a.full.Shape[0], a.up.Shape[0], a.full.Shape[1]
		clear(a.up.Gradient)
		for i := range in {
			g := a.full.Gradient[i*out : (i+1)*out]
			for r := range rank {
				up, upGrad := a.up.Data[r*out:(r+1)*out], a.up.Gradient[r*out:(r+1)*out]
				down := l.scale * a.down.Data[i*rank+r]
				var sum float32
				for o, v := range g {
					sum += v * up[o]
					upGrad[o] += down * v
				}
				a.down.Gradient[i*rank+r] = l.scale * sum
			}
		}
	})
}

// Merge sets the matrices to their sums with the adapters.
func (l *LoRA) Merge() {
	each(l.adapters, func(_ int, a adapter) {
		in, rank, out := a.full.Shape[0], a.up.Shape[0], a.full.Shape[1]
		for i := range in {
			row := a.full.Data[i*out : (i+1)*out]
			copy(row, a.base[i*out:])
			for r := range rank {
				down := l.scale * a.down.Data[i*rank+r]
				for o, v := range a.up.Data[r*out : (r+1)*out] {
					row[o] += down * v
				}
			}
		}
		a.full.Changed()
	})
}
