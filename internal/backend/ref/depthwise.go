package ref

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// DepthwiseConv convolves each channel with its own taps.
func (Backend) DepthwiseConv(y, x *backend.Tensor, w, bias []float32, taps, dilation int) {
	for t := range y.Rows {
		for c := range y.Cols {
			var s float32
			if bias != nil {
				s = bias[c]
			}
			for j := range taps {
				s = f32.FMA(w[j*y.Cols+c], x.Row(t + j*dilation)[c], s)
			}
			y.Row(t)[c] = s
		}
	}
}

// DepthwiseConvGradWeights adds the gradient of the taps to dw.
func (Backend) DepthwiseConvGradWeights(dw []float32, x, dy *backend.Tensor, taps, dilation int) {
	for j := range taps {
		for c := range dy.Cols {
			s := dw[j*dy.Cols+c]
			for t := range dy.Rows {
				s = f32.FMA(x.Row(t + j*dilation)[c], dy.Row(t)[c], s)
			}
			dw[j*dy.Cols+c] = s
		}
	}
}
