package train

import (
	"math/rand/v2"
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// Tape is an nn.Runner that runs layers as they are applied and remembers them,
// so that Backward can go back: for batches whose shapes change, where a Graph
// has to be built for each. A layer may be applied more than once.
type Tape struct {
	stream  *nn.Stream
	weights map[*nn.Param]*Weight
	rng     *rand.Rand
	dropout float64
	signs   []float32 // of a mask in the making
	steps   []step
}

// Value is a matrix on a tape and, after Backward, the loss's slope in it.
type Value struct {
	*backend.Tensor
	Grad *backend.Tensor // nil where nothing depends on it
}

type step struct {
	layer nn.Differentiable // nil for an addition
	x, z  *Value            // z is the second term of an addition
	y     *Value
	mask  *backend.Tensor // of dropout: 1, or −1 for what is dropped
}

// NewTape makes a tape whose gradients go to weights, which another tape may not
// share.
func NewTape(device backend.Backend, weights []*Weight, dropout float64, rng *rand.Rand) *Tape {
	t := &Tape{stream: nn.NewStream(device, 1), weights: map[*nn.Param]*Weight{}, dropout: dropout, rng: rng}
	for _, w := range weights {
		t.weights[w.Param] = w
	}
	return t
}

// Begin empties the tape for a batch of that many items, and gives its stream,
// which may be set up further.
func (t *Tape) Begin(batch int) *nn.Stream {
	t.steps = t.steps[:0]
	t.stream.Begin()
	t.stream.Batch = batch
	t.stream.Reset()
	return t.stream
}

// Input puts a matrix on the tape that needs no slope.
func (t *Tape) Input(x *backend.Tensor) *Value { return &Value{Tensor: x} }

// Apply runs a layer, which must be nn.Differentiable.
func (t *Tape) Apply(l nn.Layer, x *Value) *Value {
	if _, ok := l.(*nn.Dropout); ok {
		return t.drop(x)
	}
	y := &Value{Tensor: l.Step(t.stream, x.Tensor)}
	t.steps = append(t.steps, step{layer: l.(nn.Differentiable), x: x, y: y})
	return y
}

// Add gives a + b.
func (t *Tape) Add(a, b *Value) *Value {
	y := &Value{Tensor: t.stream.Add(a.Tensor, b.Tensor)}
	t.steps = append(t.steps, step{x: a, z: b, y: y})
	return y
}

// drop zeroes values at random and scales the others, so that the mean stays.
func (t *Tape) drop(x *Value) *Value {
	if t.dropout == 0 {
		return x
	}
	limit := uint64(t.dropout * 256)
	t.signs = slices.Grow(t.signs[:0], x.Rows*x.Cols)[:x.Rows*x.Cols]
	var bits uint64
	for i := range t.signs {
		if i%8 == 0 {
			bits = t.rng.Uint64()
		}
		t.signs[i] = 1
		if bits&255 < limit {
			t.signs[i] = -1
		}
		bits >>= 8
	}
	mask := t.stream.Tensor(x.Rows, x.Cols)
	t.stream.Upload(mask, t.signs)
	y := &Value{Tensor: t.masked(x.Tensor, mask)}
	t.steps = append(t.steps, step{x: x, y: y, mask: mask})
	return y
}

// masked is x, scaled, where the mask is above zero.
func (t *Tape) masked(x, mask *backend.Tensor) *backend.Tensor {
	keep := float32(1 / (1 - float64(uint64(t.dropout*256))/256))
	y := t.stream.Tensor(x.Rows, x.Cols)
	t.stream.ActivateGrad(y, mask, x, backend.ReLU)
	t.stream.ScaleAdd(y, y, slices.Repeat([]float32{keep}, x.Cols), nil)
	return y
}

// Backward goes back from the values whose Grad is set. The gradients of weights
// are those of this batch.
func (t *Tape) Backward() {
	for _, w := range t.weights {
		t.stream.Clear(w.Gradient)
	}
	for i := len(t.steps) - 1; i >= 0; i-- {
		s := t.steps[i]
		dy := s.y.Grad
		switch {
		case dy == nil:
		case s.mask != nil:
			t.put(s.x, t.masked(dy, s.mask))
		case s.layer == nil:
			t.put(s.x, dy)
			t.put(s.z, dy)
		default:
			params := s.layer.Params()
			grads := make([][]float32, len(params))
			for k, p := range params {
				grads[k] = t.weights[p].Gradient
			}
			t.put(s.x, s.layer.Backward(t.stream, s.x.Tensor, s.y.Tensor, dy, grads))
		}
	}
}

// put adds to the slope in a value. Slopes may be shared, so that none is written.
func (t *Tape) put(v *Value, g *backend.Tensor) {
	if v.Grad != nil {
		g = t.stream.Add(v.Grad, g)
	}
	v.Grad = g
}
