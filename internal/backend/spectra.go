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

// Polar is a Backend that makes complex numbers of their polar form; others leave it to
// the host.
type Polar interface {
	// Complex sets y to the numbers, (re, im) side by side, of x, whose left half holds
	// the natural logarithms of magnitudes, cut at most, and whose right half the phases:
	//
	//	min(exp(x[k]), most)·cos(x[n+k])  and  min(exp(x[k]), most)·sin(x[n+k])
	//
	// for k < n, half the number of columns, by the functions of package f32.
	Complex(y, x *Tensor, most float32)
}
