package ref

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

var inf = float32(math.Inf(1))

// Activation gives the activation of x. Snake is not one of them.
func Activation(x float32, act backend.Activation) float32 {
	switch act {
	case backend.GELU:
		return f32.GELU(x)
	case backend.SiLU:
		return f32.SiLU(x)
	case backend.GELUErf:
		return f32.GELUErf(x)
	case backend.ReLU:
		return f32.ReLU(x)
	case backend.LeakyReLU:
		return f32.LeakyReLU(x)
	case backend.LeakyReLU100:
		return f32.LeakyReLU100(x)
	case backend.ELU:
		return f32.ELU(x)
	case backend.Tanh:
		return f32.Tanh(x)
	case backend.Sigmoid:
		return f32.Sigmoid(x)
	}
	return x
}

// Finish sets y to the epilogue of x.
func (Backend) Finish(y, x *backend.Tensor, ep backend.Epilogue) {
	for t := range y.Rows {
		for c := range y.Cols {
			y.Row(t)[c] = epilogue(x.Row(t)[c], t, c, ep)
		}
	}
}

func slope(x float32, act backend.Activation) float32 {
	switch act {
	case backend.GELU:
		return f32.GELUGrad(x)
	case backend.SiLU:
		return f32.SiLUGrad(x)
	case backend.GELUErf:
		return f32.GELUErfGrad(x)
	case backend.ReLU:
		return f32.ReLUGrad(x)
	case backend.LeakyReLU:
		return f32.LeakyReLUGrad(x)
	case backend.LeakyReLU100:
		return f32.LeakyReLU100Grad(x)
	case backend.ELU:
		return f32.ELUGrad(x)
	case backend.Tanh:
		return f32.TanhGrad(x)
	case backend.Sigmoid:
		return f32.SigmoidGrad(x)
	}
	return 1
}

// Activate sets y = act(x).
func (Backend) Activate(y, x *backend.Tensor, act backend.Activation) {
	for t := range y.Rows {
		for c := range y.Cols {
			y.Row(t)[c] = Activation(x.Row(t)[c], act)
		}
	}
}

// ActivateGrad sets dx = dy·act'(x).
func (Backend) ActivateGrad(dx, x, dy *backend.Tensor, act backend.Activation) {
	for t := range dx.Rows {
		for c := range dx.Cols {
			dx.Row(t)[c] = dy.Row(t)[c] * slope(x.Row(t)[c], act)
		}
	}
}

// Add sets y = a + b.
func (Backend) Add(y, a, b *backend.Tensor) {
	for t := range y.Rows {
		for c := range y.Cols {
			y.Row(t)[c] = a.Row(t)[c] + b.Row(t)[c]
		}
	}
}

// ScaleAdd sets y = scale·x + residual.
func (Backend) ScaleAdd(y, x *backend.Tensor, scale []float32, residual *backend.Tensor) {
	for t := range y.Rows {
		for c := range y.Cols {
			v := float32(scale[c] * x.Row(t)[c])
			if residual != nil {
				v += residual.Row(t)[c]
			}
			y.Row(t)[c] = v
		}
	}
}

// ColumnSum adds the column sums of x, or of x·z, to sum.
func (Backend) ColumnSum(sum []float32, x, z *backend.Tensor) {
	for t := range x.Rows {
		for c := range x.Cols {
			if z == nil {
				sum[c] += x.Row(t)[c]
			} else {
				sum[c] = f32.FMA(x.Row(t)[c], z.Row(t)[c], sum[c])
			}
		}
	}
}

// Gather copies rows of a table.
func (Backend) Gather(y, table *backend.Tensor, codes []int32) {
	for t := range y.Rows {
		copy(y.Row(t), table.Row(int(codes[t])))
	}
}

// AdamWStep updates w, m and v.
func (Backend) AdamWStep(w, g, m, v []float32, a backend.AdamW) {
	step := f32.NewAdamW(a.LR, a.Beta1, a.Beta2, a.Eps, a.WeightDecay, a.Scale, a.Step)
	for i := range w {
		w[i], m[i], v[i] = step.Update(w[i], g[i], m[i], v[i])
	}
}
