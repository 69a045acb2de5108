package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// epilogue finishes the columns n to n+width of m rows of y from y0 on; r0 is
// the first of the rows in the residual.
func (b *Backend) epilogue(y *backend.Tensor, y0, r0, m, n, width int, ep backend.Epilogue, s *scratch) {
	if ep.Bias == nil && ep.Act == backend.Identity && ep.Scale == nil && ep.Residual == nil {
		return
	}
	for i := range m {
		row := y.Data[(y0+i)*y.Stride+n:][:width]
		var res []float32
		if ep.Residual != nil {
			res = ep.Residual.Data[(r0+i)*ep.Residual.Stride+n:][:width]
		}
		for c, v := range row {
			if ep.Bias != nil {
				v += ep.Bias[n+c]
			}
			v = activate(v, ep.Act)
			switch {
			case ep.Scale != nil && res != nil:
				v = f32.FMA(ep.Scale[n+c], v, res[c])
			case ep.Scale != nil:
				v *= ep.Scale[n+c]
			case res != nil:
				v += res[c]
			}
			row[c] = v
		}
	}
}

func activate(x float32, act backend.Activation) float32 {
	switch act {
	case backend.GELU:
		return f32.GELU(x)
	case backend.SiLU:
		return f32.SiLU(x)
	}
	return x
}
