package backend

// Spectra are the operations on rows of complex numbers, stored (re, im), whose
// magnitudes span more than a network should see.
type Spectra interface {
	// CompressPairs sets m, in both places of each number S of x, to
	// √((re²+im²)+eps), and y to S·(√√m / m), which is S·(|S|²+eps)^(−3/8).
	CompressPairs(y, m, x *Tensor, eps float32)
	// ExpandPairs sets y = S·((re²+im²)+eps).
	ExpandPairs(y, x *Tensor, eps float32)
}
