package cpu

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
)

// fail reports that a caller broke the contract of an operation.
func fail(format string, args ...any) {
	panic("backend/cpu: " + fmt.Sprintf(format, args...))
}

// sameShape checks that tensors have the shape of the first. Nil ones pass.
func sameShape(op string, a, b, c *backend.Tensor) {
	for _, t := range [2]*backend.Tensor{b, c} {
		if t != nil && (t.Rows != a.Rows || t.Cols != a.Cols) {
			fail("%s: shapes [%d, %d] and [%d, %d] differ", op, a.Rows, a.Cols, t.Rows, t.Cols)
		}
	}
}

// sameLength checks that a vector of one value a column fits. Nil ones pass.
func sameLength(op string, n int, vectors ...[]float32) {
	for _, v := range vectors {
		if v != nil && len(v) < n {
			fail("%s: a vector of %d values for %d columns", op, len(v), n)
		}
	}
}

// rows is the view of rows lo to hi of a tensor; nil of nil.
func rows(t *backend.Tensor, lo, hi int) *backend.Tensor {
	if t == nil || hi <= lo {
		return nil
	}
	end := (hi-1)*t.Stride + t.Cols
	return &backend.Tensor{Rows: hi - lo, Cols: t.Cols, Stride: t.Stride, Data: t.Data[lo*t.Stride : end]}
}
