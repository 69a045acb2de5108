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
}

// NewConvNeXt makes a block whose parameters are called name.depthwise…,
// name.norm…, name.expand…, name.project… and name.scale….
func NewConvNeXt(name string, channels, hidden, taps, dilation int, scale float32) *ConvNeXt {
	return &ConvNeXt{
		Depthwise: NewDepthwiseConv(name+".depthwise", channels, taps, dilation),
		Norm:      NewLayerNorm(name+".norm", channels),
		Expand:    NewLinear(name+".expand", channels, hidden),
		Project:   NewLinear(name+".project", hidden, channels),
		Scale:     NewLayerScale(name+".scale", channels, scale),
	}
}

// Params lists those of all parts.
func (b *ConvNeXt) Params() []*Param {
	return Params(b.Depthwise, b.Norm, b.Expand, b.Project, b.Scale)
}

// ApplyConvNeXt is the block's forward pass.
func ApplyConvNeXt[V any](r Runner[V], b *ConvNeXt, x V) V {
	h := r.Apply(b.Depthwise, x)
	h = r.Apply(b.Norm, h)
	h = r.Apply(b.Expand, h)
	h = r.Apply(Activation{backend.GELU}, h)
	h = r.Apply(b.Project, h)
	h = r.Apply(b.Scale, h)
	return r.Add(x, h)
}

// Params joins the parameters of several layers.
func Params(parts ...interface{ Params() []*Param }) []*Param {
	var all []*Param
	for _, p := range parts {
		all = append(all, p.Params()...)
	}
	return all
}
