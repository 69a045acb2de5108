// Package vocos builds the decoder of Vocos (Siuzdak 2024): ConvNeXt blocks at the
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

// Backbone gives rows [T, dim] for the head: an embedding, residual blocks around
// attention where the checkpoint has them (WavTokenizer), and ConvNeXt blocks.
func Backbone(c *published.Checkpoint, name string) (chain nn.Chain, dim int) {
	embed := c.WeightShape(name + ".embed")
	inner := c.WeightShape(name + ".convnext.0.pwconv1")
	if len(embed) != 3 || len(inner) != 2 || embed[2]%2 == 0 {
		c.Fail(fmt.Errorf("%s.embed or .convnext.0.pwconv1 is missing, or of an unknown shape", name))
		return nil, 0
	}
	dim = embed[0]
	chain = nn.Chain{conv(c, name+".embed", embed[1], dim, embed[2])}
	if c.HasWeight(name + ".pos_net.2.q") {
		c.Within("dim modulo the groups of its norms", dim%groups, 0, 0)
		for i := range 5 {
			part := fmt.Sprintf("%s.pos_net.%d", name, i)
			if i == 2 {
				chain = append(chain, attention(c, part, dim))
			} else {
				chain = append(chain, resnet(c, part, dim))
			}
		}
		chain = append(chain, c.GroupNorm(name+".pos_net.5", groups, dim, eps))
	}
	chain = append(chain, norm(c, name+".norm", dim))
	for i := 0; c.HasWeight(fmt.Sprintf("%s.convnext.%d.dwconv", name, i)); i++ {
		chain = append(chain, convNeXt(c, fmt.Sprintf("%s.convnext.%d", name, i), dim, inner[0]))
	}
	return append(chain, c.LayerNorm(name+".final_layer_norm", dim, eps)), dim
}

// conv is a convolution that keeps the number of rows.
func conv(c *published.Checkpoint, name string, in, out, kernel int) *nn.Conv1d {
	return c.Conv(&nn.Conv1d{In: in, Out: out, Kernel: kernel, Pad: nn.Padding{Left: kernel / 2, Right: kernel / 2}}, name)
}

// norm is a LayerNorm; where it is adaptive, that of the first condition, which is
// the one that inference uses.
func norm(c *published.Checkpoint, name string, dim int) *nn.LayerNorm {
	if !c.HasWeight(name + ".scale") {
		return c.LayerNorm(name, dim, eps)
	}
	first := func(part string) *nn.Param {
		p := c.Param(name+part, -1, dim)
		if len(p.Data) < dim {
			return p
		}
		return &nn.Param{Name: p.Name, Shape: []int{dim}, Data: p.Data[:dim]}
	}
	return &nn.LayerNorm{Gamma: first(".scale.weight"), Beta: first(".shift.weight"), Eps: eps}
}

// convNeXt is the block of Liu et al. 2022 (figure 4) in one dimension.
func convNeXt(c *published.Checkpoint, name string, dim, hidden int) nn.Layer {
	depthwise := &nn.Conv1d{In: dim, Out: dim, Kernel: 7, Groups: dim, Pad: nn.Padding{Left: 3, Right: 3}}
	branch := nn.Chain{
		c.Conv(depthwise, name+".dwconv"), norm(c, name+".norm", dim),
		c.Linear(name+".pwconv1", dim, hidden), nn.Activation{Func: backend.GELUErf}, c.Linear(name+".pwconv2", hidden, dim),
	}
	if c.Has(name + ".gamma") {
		branch = append(branch, &nn.LayerScale{Gamma: c.Param(name+".gamma", dim)})
	}
	return &nn.Residual{Branch: branch}
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
