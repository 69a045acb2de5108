package backend

// Rotator is a Backend that turns pairs of values; others leave it to the host.
type Rotator interface {
	// Rotate sets y to the heads of x, of 2·half columns each, turned by the angles of
	// their row, or back: of value i and value half+i of a head, p and q,
	//
	//	p·cos − q·sin  and  q·cos + p·sin,   forward
	//	p·cos + q·sin  and  q·cos − p·sin,   back
	//
	// with rounded products. cos and sin are [rows, half].
	Rotate(y, x *Tensor, cos, sin []float32, half int, back bool)
}
