package nn

// Attention is a residual block of attention among rows: LayerNorm, queries, keys
// and values, attention, projection (Vaswani et al. 2017, with the norm first).
type Attention struct {
	Norm    *LayerNorm
	Input   *Linear // queries, keys and values
	Attend  *Attend
	Project *Linear
	Dropout *Dropout
}

// NewAttention makes a block whose parameters are called name.norm…, name.input…
// and name.project….
func NewAttention(name string, attend *Attend) *Attention {
	c := attend.Channels
	return &Attention{
		Norm:    NewLayerNorm(name+".norm", c),
		Input:   NewLinear(name+".input", c, 3*c),
		Attend:  attend,
		Project: NewLinear(name+".project", c, c),
		Dropout: &Dropout{},
	}
}

// Params lists those of all parts.
func (a *Attention) Params() []*Param { return Params(a.Norm, a.Input, a.Project) }

// ApplyAttention is the block's forward pass.
func ApplyAttention[V any](r Runner[V], a *Attention, x V) V {
	h := r.Apply(a.Input, r.Apply(a.Norm, x))
	h = r.Apply(a.Project, r.Apply(a.Attend, h))
	return r.Add(x, r.Apply(a.Dropout, h))
}
