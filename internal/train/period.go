package train

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// newPeriodDiscriminator sees every period-th sample: each phase is a signal of
// its own (Kong et al. 2020, HiFi-GAN, multi-period discriminator).
func newPeriodDiscriminator(period int, shapes []ConvShape) (*Discriminator, error) {
	if period < 1 {
		return nil, fmt.Errorf("train: no discriminator of period %d", period)
	}
	return newDiscriminator(fmt.Sprintf("period%d", period), []nn.Differentiable{phases{period}}, 1, shapes, ConvShape{Taps: 3})
}

// phases lays samples [items, n] out as [items·period, n/period]: row j of an item
// holds the samples j, j + period, …; the signal is continued by reflection to a
// multiple of the period.
type phases struct{ period int }

// Params is empty.
func (phases) Params() []*nn.Param { return nil }

// Step lays the samples out.
func (l phases) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	n := (x.Cols + l.period - 1) / l.period
	y := s.Tensor(x.Rows*l.period, n)
	for r := range x.Rows {
		from := x.Row(r)
		for j := range l.period {
			to := y.Row(r*l.period + j)
			for t := range to {
				to[t] = from[reflected(t*l.period+j, x.Cols)]
			}
		}
	}
	return y
}

// Backward adds what each sample went to.
func (l phases) Backward(s *nn.Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	dx := s.Tensor(x.Rows, x.Cols)
	clear(dx.Data)
	for r := range x.Rows {
		to := dx.Row(r)
		for j := range l.period {
			for t, v := range dy.Row(r*l.period + j) {
				to[reflected(t*l.period+j, x.Cols)] += v
			}
		}
	}
	return dx
}

// reflected is the sample that stands at i of a signal of n.
func reflected(i, n int) int {
	if i >= n {
		return 2*(n-1) - i
	}
	return i
}
