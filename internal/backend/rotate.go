package backend

// Rotator is a Backend that turns pairs of values; others leave it to the host.
type Rotator interface {
	// Rotate sets y to the heads of x, of 2·half columns each, turned by the angles of
	// their row: pair i of a head, p and q, becomes
	//
	//	p·cos − q·sin  and  q·cos + p·sin
	//
	// with rounded products; y may be x. cos and sin are [rows, half].
	Rotate(y, x *Tensor, cos, sin []float32, half int, way Rotation)
}

// Rotation says which pairs Rotate turns which way.
type Rotation struct {
	// Adjacent pairs value 2i of a head with value 2i+1, otherwise it is value i with
	// value half+i.
	Adjacent bool
	Back     bool // by angles of the other sign
}
