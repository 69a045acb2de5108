package nn

import "github.com/sotto-audio/sotto/internal/backend"

// ConvNeXt is the residual block of Liu et al. 2022 (figure 4) in one causal
// dimension, as Vocos uses it: depthwise convolution, LayerNorm, expansion,
// GELU, projection, layer scale, residual.
type ConvNeXt struct {
	Depthwise *DepthwiseConv
	Norm      *LayerNorm
	Expand    *Linear
	Project   *Linear
	Scale     *LayerScale
	Dropout   *Dropout
	Delay     *Delay // of the residual path: rows of lookahead, nil for none
}

// NewConvNeXt makes a block whose parameters are called name.depthwise…,
// name.norm…, name.expand…, name.project… and name.scale…. With lookahead the
// output trails the input by that many rows.
func NewConvNeXt(name string, channels, hidden, taps, lookahead int, scale float32) *ConvNeXt {
	b := &ConvNeXt{
		Depthwise: NewDepthwiseConv(name+".depthwise", channels, taps, 1),
		Norm:      NewLayerNorm(name+".norm", channels),
		Expand:    NewLinear(name+".expand", channels, hidden),
		Project:   NewLinear(name+".project", hidden, channels),
		Scale:     NewLayerScale(name+".scale", channels, scale),
		Dropout:   &Dropout{},
	}
	if lookahead > 0 {
		b.Delay = &Delay{Rows: lookahead, Channels: channels}
	}
	return b
}

// Reduced gives a block of the same parameters whose matrix products have
// precision p.
func (b *ConvNeXt) Reduced(p backend.Precision) *ConvNeXt {
	r := *b
	r.Expand, r.Project = b.Expand.Reduced(p), b.Project.Reduced(p)
	return &r
}

// Params lists those of all parts.
func (b *ConvNeXt) Params() []*Param {
	return Params(b.Depthwise, b.Norm, b.Expand, b.Project, b.Scale)
}

// ApplyConvNeXts runs blocks one after the other, each on what the one before gave.
func ApplyConvNeXts[V any](r Runner[V], blocks []*ConvNeXt, x V) V {
	for i, b := range blocks {
		y := ApplyConvNeXt(r, b, x)
		if s, ok := any(r).(*Stream); ok && i > 0 {
			s.Release(any(x).(*backend.Tensor))
		}
		x = y
	}
	return x
}

// ApplyConvNeXt is the block's forward pass. A Stream, which keeps nothing for a
// gradient, runs the same operations fused into the matrix products.
func ApplyConvNeXt[V any](r Runner[V], b *ConvNeXt, x V) V {
	if s, ok := any(r).(*Stream); ok {
		return any(b.step(s, any(x).(*backend.Tensor))).(V)
	}
	h := r.Apply(b.Depthwise, x)
	h = r.Apply(b.Norm, h)
	h = r.Apply(b.Expand, h)
	h = r.Apply(Activation{backend.GELU}, h)
	h = r.Apply(b.Project, h)
	h = r.Apply(b.Dropout, r.Apply(b.Scale, h))
	if b.Delay != nil {
		x = r.Apply(b.Delay, x)
	}
	return r.Add(x, h)
}

// partRows is the most rows of a part: the hidden values of a block fit in the
// second-level cache beside a few panels of weights.
const partRows = 128

func (b *ConvNeXt) step(s *Stream, x *backend.Tensor) *backend.Tensor {
	if d, parts := s.sharer(x.Rows, partRows); parts > 0 {
		return b.share(s, d, parts, x)
	}
	h := b.Norm.Step(s, b.Depthwise.Step(s, x))
	h = b.Expand.fused(s, h, backend.Epilogue{Act: backend.GELU})
	if b.Delay != nil {
		x = b.Delay.Step(s, x)
	}
	return b.Project.fused(s, h, backend.Epilogue{Scale: b.Scale.Gamma.On(s.Backend), Residual: x})
}

// share is step in parts of rows that go through all of the block.
func (b *ConvNeXt) share(s *Stream, d backend.Sharer, parts int, x *backend.Tensor) *backend.Tensor {
	expand, project := b.Expand.weights(s.Backend), b.Project.weights(s.Backend)
	y, h, hidden := s.Tensor(x.Rows, x.Cols), s.Tensor(x.Rows, x.Cols), s.Tensor(x.Rows, b.Expand.Out)
	head, residual := b.Depthwise.head(s, 0, x), x
	if b.Delay != nil {
		residual = b.Delay.Step(s, x)
	}
	gamma, beta := b.Norm.affine(s.Backend)
	row := (*backend.Tensor).Slice
	d.Share(x.Rows, parts, func(d backend.Backend, lo, hi int) {
		h := row(h, lo, hi)
		b.Depthwise.rows(d, row, y, x, head, lo, hi)
		d.LayerNorm(h, row(y, lo, hi), gamma, beta, b.Norm.Eps)
		hidden := row(hidden, lo, hi)
		d.MatMul(hidden, h, expand, backend.Epilogue{Bias: b.Expand.Bias.Data, Act: backend.GELU})
		d.MatMul(row(y, lo, hi), hidden, project, backend.Epilogue{Bias: b.Project.Bias.Data, Scale: b.Scale.Gamma.Data, Residual: row(residual, lo, hi)})
	})
	if residual != x {
		s.Release(residual)
	}
	s.Release(head, h, hidden)
	return y
}

// Params joins the parameters of several layers.
func Params(parts ...interface{ Params() []*Param }) []*Param {
	var all []*Param
	for _, p := range parts {
		all = append(all, p.Params()...)
	}
	return all
}
