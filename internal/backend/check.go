package backend

import "fmt"

// Fail reports that a caller broke the contract of an operation.
func Fail(format string, args ...any) {
	panic("backend: " + fmt.Sprintf(format, args...))
}

// SameShape checks that tensors have the shape of the first. Nil ones pass.
func SameShape(op string, a *Tensor, others ...*Tensor) {
	for _, t := range others {
		if t != nil && (t.Rows != a.Rows || t.Cols != a.Cols) {
			Fail("%s: shapes [%d, %d] and [%d, %d] differ", op, a.Rows, a.Cols, t.Rows, t.Cols)
		}
	}
}

// SameLength checks that a vector of one value a column fits. Nil ones pass.
func SameLength(op string, n int, vectors ...[]float32) {
	for _, v := range vectors {
		if v != nil && len(v) < n {
			Fail("%s: a vector of %d values for %d columns", op, len(v), n)
		}
	}
}

// CheckAttention checks what Attention and its gradient take.
func CheckAttention(op string, q, k, v *Tensor, from, to []int32, heads int) {
	SameShape(op, k, v)
	if heads < 1 || q.Cols%heads != 0 || q.Cols != k.Cols {
		Fail("%s: %d heads of %d and %d columns", op, heads, q.Cols, k.Cols)
	}
	if len(from) < q.Rows || len(to) < q.Rows {
		Fail("%s: %d and %d bounds for %d rows", op, len(from), len(to), q.Rows)
	}
	for m := range q.Rows {
		if from[m] < to[m] && (from[m] < 0 || int(to[m]) > k.Rows) {
			Fail("%s: row %d attends to rows %d to %d of %d", op, m, from[m], to[m], k.Rows)
		}
	}
}
