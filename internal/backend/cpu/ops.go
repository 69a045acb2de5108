package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

var naive ref.Backend

// DepthwiseConv convolves each channel with its own taps.
func (b *Backend) DepthwiseConv(y, x *backend.Tensor, w, bias []float32, taps, dilation int) {
	naive.DepthwiseConv(y, x, w, bias, taps, dilation)
}

// DepthwiseConvGradWeights adds the gradient of the taps to dw.
func (b *Backend) DepthwiseConvGradWeights(dw []float32, x, dy *backend.Tensor, taps, dilation int) {
	naive.DepthwiseConvGradWeights(dw, x, dy, taps, dilation)
}

// LayerNorm normalises each row.
func (b *Backend) LayerNorm(y, x *backend.Tensor, gamma, beta []float32, eps float32) {
	naive.LayerNorm(y, x, gamma, beta, eps)
}

// LayerNormGrad is the gradient of LayerNorm.
func (b *Backend) LayerNormGrad(dx *backend.Tensor, dgamma, dbeta []float32, x, dy *backend.Tensor, gamma []float32, eps float32) {
	naive.LayerNormGrad(dx, dgamma, dbeta, x, dy, gamma, eps)
}

// Activate sets y = act(x).
func (b *Backend) Activate(y, x *backend.Tensor, act backend.Activation) { naive.Activate(y, x, act) }

// ActivateGrad sets dx = dy·act'(x).
func (b *Backend) ActivateGrad(dx, x, dy *backend.Tensor, act backend.Activation) {
	naive.ActivateGrad(dx, x, dy, act)
}

// Add sets y = a + b.
func (b *Backend) Add(y, a, c *backend.Tensor) { naive.Add(y, a, c) }

// ScaleAdd sets y = scale·x + residual.
func (b *Backend) ScaleAdd(y, x *backend.Tensor, scale []float32, residual *backend.Tensor) {
	naive.ScaleAdd(y, x, scale, residual)
}

// ColumnSum adds the column sums of x, or of x·z, to sum.
func (b *Backend) ColumnSum(sum []float32, x, z *backend.Tensor) { naive.ColumnSum(sum, x, z) }

// AdamWStep updates w, m and v.
func (b *Backend) AdamWStep(w, g, m, v []float32, a backend.AdamW) { naive.AdamWStep(w, g, m, v, a) }

// Gather copies rows of a table.
func (b *Backend) Gather(y, table *backend.Tensor, codes []int32) { naive.Gather(y, table, codes) }
