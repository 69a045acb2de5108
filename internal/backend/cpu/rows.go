package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
)

// rows is the view of rows lo to hi of a tensor; nil of nil.
func rows(t *backend.Tensor, lo, hi int) *backend.Tensor {
	if t == nil || hi <= lo {
		return nil
	}
	end := (hi-1)*t.Stride + t.Cols
	return &backend.Tensor{Rows: hi - lo, Cols: t.Cols, Stride: t.Stride, Data: t.Data[lo*t.Stride : end]}
}
