// Package vocos builds the network of Vocos (Siuzdak 2024): ConvNeXt blocks at the
// rate of the frames and an inverse Fourier transform, with the attention that
// WavTokenizer (Ji et al. 2025, section 3.3) puts before them.
package vocos

import (
	"fmt"
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// eps is that of all norms.
const eps = 1e-6

// groups of the norms around attention.
const groups = 32

// Backbones gives layers to rows [T, dim] for the head: an embedding, residual
// blocks around attention where the checkpoint has them (WavTokenizer), and
// ConvNeXt blocks. Where norms are adaptive there is one chain a condition; chains
// differ in their norms only and share the rest.
func Backbones(c *published.Checkpoint, name string) (chains []nn.Chain, dim int) {
	embed := c.WeightShape(name + ".embed")
	inner := c.WeightShape(name + ".convnext.0.pwconv1")
	if len(embed) != 3 || len(inner) != 2 || embed[2]%2 == 0 {
		c.Fail(fmt.Errorf("%s.embed or .convnext.0.pwconv1 is missing, or of an unknown shape", name))
		return nil, 0
	}
	dim = embed[0]
	chains = make([]nn.Chain, conditions(c, name+".norm"))
	add := func(l nn.Layer) {
		for i := range chains {
			chains[i] = append(chains[i], l)
		}
	}
	add(conv(c, name+".embed", embed[1], dim, embed[2]))
	if c.HasWeight(name + ".pos_net.2.q") {
		c.Within("dim modulo the groups of its norms", dim%groups, 0, 0)
		for i := range 5 {
			part := fmt.Sprintf("%s.pos_net.%d", name, i)
			if i == 2 {
				add(attention(c, part, dim))
			} else {
				add(resnet(c, part, dim))
			}
		}
		add(c.GroupNorm(name+".pos_net.5", groups, dim, eps))
	}
	for i, l := range norms(c, name+".norm", dim, len(chains)) {
		chains[i] = append(chains[i], l)
	}
	scaled := c.Has(name + ".convnext.0.gamma") // all blocks or none
	for k := 0; c.HasWeight(fmt.Sprintf("%s.convnext.%d.dwconv", name, k)); k++ {
		for i, l := range convNeXt(c, fmt.Sprintf("%s.convnext.%d", name, k), dim, inner[0], len(chains), scaled) {
			chains[i] = append(chains[i], l)
		}
	}
	add(c.LayerNorm(name+".final_layer_norm", dim, eps))
	return chains, dim
}

// conv is a convolution that keeps the number of rows.
func conv(c *published.Checkpoint, name string, in, out, kernel int) *nn.Conv1d {
	return c.Conv(&nn.Conv1d{In: in, Out: out, Kernel: kernel, Pad: nn.Padding{Left: kernel / 2, Right: kernel / 2}}, name)
}

// maxConditions bounds the number of chains.
const maxConditions = 64

// conditions is the number of those that a norm knows, 1 where it has none.
func conditions(c *published.Checkpoint, name string) int {
	if shape := c.Shape(name + ".scale.weight"); len(shape) == 2 {
		c.Within("number of conditions", shape[0], 1, maxConditions)
		return min(max(shape[0], 1), maxConditions)
	}
	return 1
}

// norms are LayerNorms, one a condition.
func norms(c *published.Checkpoint, name string, dim, count int) []*nn.LayerNorm {
	all := make([]*nn.LayerNorm, count)
	if !c.HasWeight(name + ".scale") {
		for i := range all {
			if all[i] = all[0]; i == 0 {
				all[0] = c.LayerNorm(name, dim, eps)
			}
		}
		return all
	}
	scale, shift := c.Param(name+".scale.weight", count, dim), c.Param(name+".shift.weight", count, dim)
	of := func(p *nn.Param, i int) *nn.Param {
		if len(p.Data) != count*dim {
			return p // an error that is kept
		}
		return &nn.Param{Name: fmt.Sprintf("%s[%d]", p.Name, i), Shape: []int{dim}, Data: p.Data[i*dim : (i+1)*dim]}
	}
	for i := range all {
		all[i] = &nn.LayerNorm{Gamma: of(scale, i), Beta: of(shift, i), Eps: eps}
	}
	return all
}

// convNeXt is the block of Liu et al. 2022 (figure 4) in one dimension, with a layer
// scale or without, once a condition.
func convNeXt(c *published.Checkpoint, name string, dim, hidden, count int, scaled bool) []nn.Layer {
	depthwise := c.Conv(&nn.Conv1d{In: dim, Out: dim, Kernel: 7, Groups: dim, Pad: nn.Padding{Left: 3, Right: 3}}, name+".dwconv")
	after := nn.FeedForward{Expand: c.Linear(name+".pwconv1", dim, hidden), Func: backend.GELUErf, Project: c.Linear(name+".pwconv2", hidden, dim)}
	if scaled {
		after.Scale = &nn.LayerScale{Gamma: c.Param(name+".gamma", dim)}
	}
	blocks := make([]nn.Layer, count)
	for i, norm := range norms(c, name+".norm", dim, count) {
		rows := after
		rows.Norm = norm
		blocks[i] = &nn.Residual{Branch: nn.Chain{depthwise, &rows}}
	}
	return blocks
}

// resnet is a residual block of two convolutions, each after norm and swish.
func resnet(c *published.Checkpoint, name string, dim int) nn.Layer {
	swish := nn.Activation{Func: backend.SiLU}
	return &nn.Residual{Branch: nn.Chain{
		c.GroupNorm(name+".norm1", groups, dim, eps), swish, conv(c, name+".conv1", dim, dim, 3),
		c.GroupNorm(name+".norm2", groups, dim, eps), swish, conv(c, name+".conv2", dim, dim, 3),
	}}
}

// attention is a residual block in which every row sees every row, with one head
// and no positions.
func attention(c *published.Checkpoint, name string, dim int) nn.Layer {
	return &nn.Residual{Branch: nn.Chain{c.GroupNorm(name+".norm", groups, dim, eps), &attend{
		q: c.Linear(name+".q", dim, dim), k: c.Linear(name+".k", dim, dim), v: c.Linear(name+".v", dim, dim), out: c.Linear(name+".proj_out", dim, dim),
	}}}
}

// attend is attention among all rows of a signal, which a norm over the whole of
// it has collected.
type attend struct{ q, k, v, out *nn.Linear }

// Params lists those of the projections.
func (a *attend) Params() []*nn.Param { return nn.Params(a.q, a.k, a.v, a.out) }

// Reach is the whole signal.
func (*attend) Reach() nn.Reach { return nn.Everything() }

// Step attends among the rows of each item.
func (a *attend) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	if x.Rows == 0 {
		return s.Tensor(0, x.Cols)
	}
	steps := x.Rows / s.Batch
	from, to := make([]int32, x.Rows), make([]int32, x.Rows)
	for r := range from {
		from[r] = int32(r / steps * steps)
		to[r] = from[r] + int32(steps)
	}
	q, k, v, y := a.q.Step(s, x), a.k.Step(s, x), a.v.Step(s, x), s.Tensor(x.Rows, x.Cols)
	s.Attention(y, q, k, v, from, to, 1, float32(1/math.Sqrt(float64(x.Cols))))
	return a.out.Step(s, y)
}
