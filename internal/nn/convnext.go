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

func (b *ConvNeXt) step(s *Stream, x *backend.Tensor) *backend.Tensor {
	h := b.Norm.Step(s, b.Depthwise.Step(s, x))
	h = b.Expand.fused(s, h, backend.Epilogue{Act: backend.GELU})
	if b.Delay != nil {
		x = b.Delay.Step(s, x)
	}
	return b.Project.fused(s, h, backend.Epilogue{Scale: b.Scale.Gamma.Data, Residual: x})
}

// Params joins the parameters of several layers.
func Params(parts ...interface{ Params() []*Param }) []*Param {
	var all []*Param
	for _, p := range parts {
		all = append(all, p.Params()...)
	}
	return all
}
