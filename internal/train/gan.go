package train

import (
	"fmt"
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
)

// verdictLoss gives the loss of one verdict and its slope: of a discriminator on
// a recording or on a decoded signal; the codec's is that on a recording, for
// decoded signals.
type verdictLoss struct {
	recorded, decoded func(v float32) (loss, slope float32)
}

var verdictLosses = map[string]verdictLoss{
	// max(0, 1 − v) and max(0, 1 + v), as in EnCodec.
	"hinge": {
		recorded: func(v float32) (loss, slope float32) {
			if v < 1 {
				return 1 - v, -1
			}
			return 0, 0
		},
		decoded: func(v float32) (loss, slope float32) {
			if v > -1 {
				return 1 + v, 1
			}
			return 0, 0
		},
	},
	// (v − 1)² and v² (Mao et al. 2017).
	"least-squares": {
		recorded: func(v float32) (loss, slope float32) { return (v - 1) * (v - 1), 2 * (v - 1) },
		decoded:  func(v float32) (loss, slope float32) { return v * v, 2 * v },
	},
}

func newVerdictLoss(name string) (verdictLoss, error) {
	l, ok := verdictLosses[name]
	if !ok {
		return l, fmt.Errorf("train: no adversarial loss %q: hinge and least-squares are known", name)
	}
	return l, nil
}

// judge gives the mean loss over the verdicts of each item. Where grad is not nil,
// it is set to weight times the gradient of these means.
func judge(loss func(v float32) (loss, slope float32), verdicts *backend.Tensor, items int, weight float32, grad *backend.Tensor) []float64 {
	means := make([]float64, items)
	n := len(verdicts.Data) / items
	step := weight / float32(n)
	for i, v := range verdicts.Data[:n*items] {
		l, slope := loss(v)
		means[i/n] += float64(l) / float64(n)
		if grad != nil {
			grad.Data[i] = step * slope
		}
	}
	return means
}

// matching compares the features of a layer: the sums over each item of |y − x| and
// of |x|.
func matching(x, y *backend.Tensor, items int) (differences, sizes []float64) {
	differences, sizes = make([]float64, items), make([]float64, items)
	n := len(x.Data) / items
	for i := range items {
		a, b := x.Data[i*n:(i+1)*n], y.Data[i*n:(i+1)*n]
		for len(a) > 0 {
			m := min(512, len(a))
			var d, s float32
			for k, v := range a[:m] {
				d += magnitude(b[k] - v)
				s += magnitude(v)
			}
			differences[i] += float64(d)
			sizes[i] += float64(s)
			a, b = a[m:], b[m:]
		}
	}
	return differences, sizes
}

// addMatching adds steps[item] times the gradient of |y − x| to grad.
func addMatching(grad, x, y *backend.Tensor, steps []float32) {
	n := len(x.Data) / len(steps)
	for i, step := range steps {
		a, b, g := x.Data[i*n:(i+1)*n], y.Data[i*n:(i+1)*n], grad.Data[i*n:(i+1)*n]
		up := math.Float32bits(step)
		for k, v := range a {
			if d := b[k] - v; d != 0 {
				g[k] += math.Float32frombits(up ^ math.Float32bits(d)&(1<<31))
			}
		}
	}
}

func magnitude(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }
