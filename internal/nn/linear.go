package nn

import (
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Linear is y = x·W + b on every row: [N, In] → [N, Out].
type Linear struct {
	In, Out int
	Weight  *Param // [In, Out]
	Bias    *Param // [Out], may be nil
	// Precision is that of Step. The gradient is always float32.
	Precision backend.Precision

	forward, backward packed
}

// NewLinear makes a linear layer of zeros; its parameters are called
// name.weight and name.bias.
func NewLinear(name string, in, out int) *Linear {
	return &Linear{In: in, Out: out, Weight: NewParam(name+".weight", in, out), Bias: NewParam(name+".bias", out)}
}

// Reduced gives a layer of the same parameters that steps in precision p.
func (l *Linear) Reduced(p backend.Precision) *Linear {
	return &Linear{In: l.In, Out: l.Out, Weight: l.Weight, Bias: l.Bias, Precision: p}
}

// Params lists weight and bias.
func (l *Linear) Params() []*Param {
	if l.Bias == nil {
		return []*Param{l.Weight}
	}
	return []*Param{l.Weight, l.Bias}
}

// Step gives x·W + b.
func (l *Linear) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	return l.fused(s, x, backend.Epilogue{})
}

// ApplySum gives a(x) + b(z). A Stream adds where the product ends.
func ApplySum[V any](r Runner[V], a *Linear, x V, b *Linear, z V) V {
	if s, ok := any(r).(*Stream); ok {
		other := b.Step(s, any(z).(*backend.Tensor))
		y := a.fused(s, any(x).(*backend.Tensor), backend.Epilogue{Residual: other})
		s.Release(other)
		return any(y).(V)
	}
	return r.Add(r.Apply(a, x), r.Apply(b, z))
}

// fused is Step with what follows it.
func (l *Linear) fused(s *Stream, x *backend.Tensor, ep backend.Epilogue) *backend.Tensor {
	y := s.Tensor(x.Rows, l.Out)
	l.Into(s.Backend, y, x, ep)
	return y
}

// Into is Step into memory of the caller, with what follows it.
func (l *Linear) Into(b backend.Backend, y, x *backend.Tensor, ep backend.Epilogue) {
	ep.Bias = l.Bias.On(b)
	b.MatMul(y, x, l.weights(b), ep)
}

// BackwardInto sets dx to dy·Wᵀ, which is Backward without BackwardWeights, in
// memory of the caller.
func (l *Linear) BackwardInto(b backend.Backend, dx, dy *backend.Tensor) {
	b.MatMul(dx, dy, l.backward.of(b, l.Weight, l.Out, l.In, true), backend.Epilogue{})
}

// BackwardWeights adds xᵀ·dy and the column sums of dy to the gradients of
// weight and bias.
func (l *Linear) BackwardWeights(s *Stream, x, dy *backend.Tensor, grads [][]float32) {
	s.MatMulTN(backend.Host(grads[0], l.In, l.Out), x, dy)
	if l.Bias != nil {
		s.ColumnSum(grads[1], dy, nil)
	}
}

// Backward gives dy·Wᵀ after BackwardWeights.
func (l *Linear) Backward(s *Stream, x, _, dy *backend.Tensor, grads [][]float32) *backend.Tensor {
	l.BackwardWeights(s, x, dy, grads)
	dx := s.Tensor(x.Rows, l.In)
	l.BackwardInto(s.Backend, dx, dy)
	return dx
}

// Prepare packs changed weights, for Backward too where it will be called, so
// that streams that run side by side do not wait for each other.
func (l *Linear) Prepare(b backend.Backend, backward bool) {
	l.weights(b)
	if backward {
		l.backward.of(b, l.Weight, l.Out, l.In, true)
	}
}

// weights gives the packed weights of Step.
func (l *Linear) weights(b backend.Backend) *backend.Weights {
	if l.Precision != backend.Float32 {
		return l.forward.reduced(b, l.Weight, l.In, l.Out, l.Precision)
	}
	return l.forward.of(b, l.Weight, l.In, l.Out, false)
}

// packed caches a backend's layout of a weight matrix until the values change.
type packed struct {
	mu      sync.Mutex
	device  backend.Backend
	version uint64
	weights *backend.Weights
}

// of gives w packed as a [k, n] matrix, transposed when w is stored [n, k].
func (p *packed) of(b backend.Backend, w *Param, k, n int, transposed bool) *backend.Weights {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.device != b && transposed:
		p.weights = b.PackT(w.Data, n, k)
	case p.device != b:
		p.weights = b.Pack(w.Data, k, n)
	case p.version != w.version:
		b.Repack(p.weights, w.Data, transposed)
	}
	p.device, p.version = b, w.version
	return p.weights
}

// reduced gives w packed as a [k, n] matrix of precision p.
func (p *packed) reduced(b backend.Backend, w *Param, k, n int, precision backend.Precision) *backend.Weights {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.device != b || p.version != w.version {
		p.weights = b.PackReduced(w.Data, k, n, precision)
		p.device, p.version = b, w.version
	}
	return p.weights
}
