package nn

import "github.com/sotto-audio/sotto/internal/backend"

// FeedForward is a norm, a wide hidden layer and a linear layer, on every row by itself:
// what blocks of transformers and ConvNeXts end with, and most of their arithmetic.
type FeedForward struct {
	Norm            *LayerNorm
	Expand, Project *Linear
	Func            backend.Activation // of the hidden layer
	Scale           *LayerScale        // nil for none
}

// Params lists those of all parts.
func (f *FeedForward) Params() []*Param {
	all := Params(f.Norm, f.Expand, f.Project)
	if f.Scale != nil {
		all = append(all, f.Scale.Params()...)
	}
	return all
}

// hiddenValues is the most hidden values of a part: they stay near the core that takes
// them next. Fewer rows would wait for the weights.
const hiddenValues = 360 << 10

// Step runs the parts on rows that stay in a core's cache, one after the other where
// there are few.
func (f *FeedForward) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	var scale []float32
	if f.Scale != nil {
		scale = f.Scale.Gamma.On(s.Backend)
	}
	d, parts := s.sharer(x.Rows, hiddenValues/f.Expand.Out)
	if parts == 0 {
		h := f.Norm.Step(s, x)
		hidden := f.Expand.fused(s, h, backend.Epilogue{Act: f.Func})
		s.Release(h)
		y := f.Project.fused(s, hidden, backend.Epilogue{Scale: scale})
		s.Release(hidden)
		return y
	}
	expand, project := f.Expand.weights(s.Backend), f.Project.weights(s.Backend)
	first := backend.Epilogue{Bias: f.Expand.Bias.On(s.Backend), Act: f.Func}
	second := backend.Epilogue{Bias: f.Project.Bias.On(s.Backend), Scale: scale}
	gamma, beta := f.Norm.affine(s.Backend)
	y, h, hidden := s.Tensor(x.Rows, f.Project.Out), s.Tensor(x.Rows, x.Cols), s.Tensor(x.Rows, f.Expand.Out)
	d.Share(x.Rows, parts, func(d backend.Backend, lo, hi int) {
		h, hidden := h.Slice(lo, hi), hidden.Slice(lo, hi)
		d.LayerNorm(h, x.Slice(lo, hi), gamma, beta, f.Norm.Eps)
		d.MatMul(hidden, h, expand, first)
		d.MatMul(y.Slice(lo, hi), hidden, project, second)
	})
	s.Release(h, hidden)
	return y
}
