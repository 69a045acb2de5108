// Package nn holds the layers of the models: weights that are shared, and
// streams that carry what a layer has to remember between steps.
//
// There is one forward path: Layer.Step on the rows that have arrived, for any
// number of them. A whole utterance is one step; its bits are those of any
// chunking. A layer that looks ahead gives the rows that what it has seen
// settles, and the rest in the step that Stream.Last marks as the signal's end;
// one that looks at the whole signal gives all of them then.
package nn

import (
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Layer maps rows [B·T, Cin] to rows [B·T', Cout]. Its weights do not change
// while streams run; everything that a step leaves behind is in the Stream.
type Layer interface {
	// Step runs the layer on the rows that follow those of earlier steps. The
	// result lives until the stream's next Begin.
	Step(s *Stream, x *backend.Tensor) *backend.Tensor
	// Params lists the trained values, in a fixed order.
	Params() []*Param
}

// Differentiable is a layer with a gradient.
type Differentiable interface {
	Layer
	// Backward gives dL/dx and adds dL/dparam to the gradients of Params, for the
	// step y = Step(x) on a fresh stream. It must not change x, y or dy. Results
	// live until the stream's next Begin.
	Backward(s *Stream, x, y, dy *backend.Tensor, grads [][]float32) *backend.Tensor
}

// Param is one trained array.
type Param struct {
	Name  string // unique in a model, such as "encoder.block0.expand.weight"
	Shape []int
	Data  []float32
	// Decay says whether weight decay applies (matrices, not biases or norms).
	Decay bool

	version uint64
	home    *backend.Tensor // that Data is the memory of, of a device
	copied  struct {
		sync.Mutex
		device  backend.Backend
		version uint64
		tensor  *backend.Tensor
	}
}

// On gives the values to operations of a device: as they are, or where memory of the
// host is far from it a copy there, which is kept until they change.
func (p *Param) On(b backend.Backend) []float32 {
	if p == nil {
		return nil
	}
	if _, ok := b.(backend.Waiter); !ok || p.home != nil || len(p.Data) == 0 {
		return p.Data
	}
	c := &p.copied
	c.Lock()
	defer c.Unlock()
	if c.device != b || c.version != p.version {
		c.device, c.version, c.tensor = b, p.version, b.New(1, len(p.Data))
		copy(c.tensor.Data, p.Data)
	}
	return c.tensor.Data
}

// Place moves the values to the memory of a device that trains them: its operations
// change them there. The host may look at them, and change them, after backend.Wait.
func (p *Param) Place(b backend.Backend) {
	if p.home != nil {
		return
	}
	t := b.New(1, len(p.Data))
	copy(t.Data, p.Data)
	p.Data, p.home = t.Data, t
}

// Changed tells layers that cache a packed form of Data that it is stale. The
// optimiser calls it after each update.
func (p *Param) Changed() { p.version++ }

// Len is the number of values.
func (p *Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// NewParam makes a zeroed parameter. Matrices decay; vectors do not.
func NewParam(name string, shape ...int) *Param {
	p := &Param{Name: name, Shape: shape, Decay: len(shape) > 1}
	p.Data = make([]float32, p.Len())
	return p
}

// Runner applies layers to values of type V: tensors when a model runs, graph
// nodes when it is trained. A model's forward pass is one generic function over
// a Runner, so that it is written once.
type Runner[V any] interface {
	// Apply runs a layer.
	Apply(l Layer, x V) V
	// Add gives a + b.
	Add(a, b V) V
}
