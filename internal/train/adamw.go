package train

import (
	"errors"
	"fmt"
	"math"
	"time"

	"gorgonia.org/gorgonia"

	"github.com/sotto-audio/sotto/internal/backend"
)

// AdamW is a gorgonia.Solver with decoupled weight decay (Loshchilov & Hutter
// 2019) on parameters that ask for it, and a bound on the gradient's norm.
type AdamW struct {
	backend.AdamW         // LR is set before each step
	Clip          float32 // largest norm of all gradients together

	// Norm of all gradients in the last step, before the bound.
	Norm float64
	// Skipped counts steps left out because the gradient was not finite.
	Skipped int
	// Took is the time of the last step.
	Took time.Duration

	inRow   int // updates left out, one after the other
	device  backend.Backend
	kernels *kernels
	moments map[string][2][]float32 // by parameter name
	memory  []*backend.Tensor       // of moments
	squares *backend.Tensor         // [weights, squareColumns], on a device
}

// NewAdamW makes an optimiser.
func NewAdamW(device backend.Backend, c backend.AdamW, clip float32) *AdamW {
	return &AdamW{AdamW: c, Clip: clip, device: device, kernels: available(), moments: map[string][2][]float32{}}
}

// Step updates weights of a Graph. Their gradients become the sums over all graphs.
func (a *AdamW) Step(model []gorgonia.ValueGrad) error {
	begin := time.Now()
	defer func() { a.Took = time.Since(begin) }()
	weights := make([]*Weight, len(model))
	for i, m := range model {
		w, ok := m.(*Weight)
		if !ok {
			return fmt.Errorf("train: AdamW updates the weights of a Graph, not %T", m)
		}
		weights[i] = w
	}
	var total float64
	for _, s := range a.gather(weights) {
		total += s
	}
	a.Norm = math.Sqrt(total)
	if math.IsNaN(a.Norm) || math.IsInf(a.Norm, 0) {
		a.Skipped++
		if a.inRow++; a.inRow == 50 {
			return errors.New("train: no finite gradient in 50 updates: go back to a checkpoint with a lower learning rate")
		}
		return nil
	}
	a.inRow = 0
	scale := float32(1)
	if a.Norm > float64(a.Clip) {
		scale = a.Clip / float32(a.Norm)
	}
	a.AdamW.Step++
	for _, w := range weights {
		a.Moments(w)
	}
	each(weights, func(_ int, w *Weight) {
		c := a.AdamW
		c.Scale = scale
		c.LR *= w.Rate
		if !w.Decay {
			c.WeightDecay = 0
		}
		m := a.moments[w.Name]
		a.device.AdamWStep(w.Data, w.Gradient, m[0], m[1], c)
		w.Changed()
	})
	return nil
}

// squareColumns are those that a device adds the squares of a gradient up in: enough to
// keep it busy.
const squareColumns = 4096

// gather adds the gradients of others and gives the sums of squares.
func (a *AdamW) gather(weights []*Weight) []float64 {
	sums := make([]float64, len(weights))
	if _, ok := a.device.(backend.Waiter); !ok {
		each(weights, func(i int, w *Weight) { sums[i] = w.gather(a.kernels) })
		return sums
	}
	if a.squares == nil {
		a.squares = a.device.New(len(weights), squareColumns)
	}
	backend.Clear(a.device, a.squares.Data)
	for i, w := range weights {
		n := w.Len()
		sum := backend.Host(w.Gradient, 1, n)
		for _, g := range w.others {
			a.device.Add(sum, sum, backend.Host(g, 1, n))
		}
		rows := n / squareColumns
		for _, x := range []*backend.Tensor{
			backend.Host(w.Gradient, rows, squareColumns), backend.Host(w.Gradient[rows*squareColumns:], 1, n%squareColumns),
		} {
			a.device.ColumnSum(a.squares.Row(i), x, x)
		}
	}
	backend.Wait(a.device)
	for i := range weights {
		for _, s := range a.squares.Row(i) {
			sums[i] += float64(s)
		}
	}
	return sums
}

// gather adds the gradients of others and gives the sum of squares.
func (w *Weight) gather(k *kernels) float64 {
	if len(w.others) == 0 {
		return energy(w.Gradient)
	}
	var squares float64
	for _, g := range w.others {
		squares = k.add(w.Gradient, g)
	}
	return squares
}

// Moments gives the running means of a weight's gradient and of its square,
// which are live.
func (a *AdamW) Moments(w *Weight) [2][]float32 {
	m, ok := a.moments[w.Name]
	if !ok {
		n := w.Len()
		t := a.device.New(2, n)
		m = [2][]float32{t.Data[:n], t.Data[n:]}
		a.moments[w.Name], a.memory = m, append(a.memory, t)
	}
	return m
}

// each calls f for all items on two threads.
func each[T any](items []T, f func(int, T)) {
	next := make(chan int, len(items))
	for i := range items {
		next <- i
	}
	close(next)
	var wait backend.Group
	for range 2 {
		wait.Go(func() {
			for i := range next {
				f(i, items[i])
			}
		})
	}
	wait.Wait()
}

// energy is the sum of squares, in float64 over blocks.
func energy(v []float32) float64 {
	var total float64
	for len(v) > 0 {
		block := v[:min(256, len(v))]
		v = v[len(block):]
		var a, b, c, d float32
		for len(block) >= 4 {
			a += block[0] * block[0]
			b += block[1] * block[1]
			c += block[2] * block[2]
			d += block[3] * block[3]
			block = block[4:]
		}
		for _, x := range block {
			a += x * x
		}
		total += float64(a + b + c + d)
	}
	return total
}

// Schedule is a learning rate over a run.
type Schedule struct {
	Peak   float64 // after warm-up
	Floor  float64 // at the end, as a share of Peak
	Warmup int     // updates of linear growth
}

// At gives the rate of an update (from 0) when a share of the run (0 to 1) is
// done: linear growth times a half cosine.
func (s Schedule) At(update int, progress float64) float64 {
	warm := min(1, float64(update+1)/float64(max(1, s.Warmup)))
	cos := s.Floor + (1-s.Floor)*(1+math.Cos(math.Pi*min(1, progress)))/2
	return s.Peak * warm * cos
}
