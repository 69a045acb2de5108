package f32

import "math"

// Log2Shift moves the bits of √½ to those of 1. It and Log2Terms are shared with the
// generator of the vector kernels.
const Log2Shift = 0x3f800000 - 0x3f3504f3

// Log2Terms is a minimax fit of log2(1 + t)/t on [√½ − 1, √2 − 1], from the highest
// power down.
var Log2Terms = [...]float32{
	0.12583549320697784, -0.20726914703845978, 0.21571588516235352, -0.23894493281841278,
	0.28791624307632446, -0.3607036769390106, 0.48091062903404236, -0.7213473320007324, 1.4426950216293335,
}

// Log2 gives the logarithm to base 2 of a positive normal number, to 2.5 units in the
// last place; of others it is no number to rely on.
func Log2(x float32) float32 {
	bits := math.Float32bits(x)
	e := (bits + Log2Shift) >> 23
	t := math.Float32frombits(bits-e<<23+0x3f800000) - 1 // x/2^e from √½ to √2, less 1
	p := Log2Terms[0]
	for _, c := range Log2Terms[1:] {
		p = FMA(p, t, c)
	}
	return FMA(p, t, float32(e)-127)
}

// Join is what a node with edges of total weight d, of them w to a cluster, adds to
// V times the structural entropy by joining it (package rvq/se, Partition.Join). Of
// the cluster it needs V − g, 1/V and log2 V, before, and total is log2 of the
// graph's volume with the node. It is no less than 2w·(bits − total), by which
// kernels leave clusters out.
func Join(w, d, inside, inverse, bits, total float32) float32 {
	all := Log2(FMA(w+d, inverse, 1))
	loss := all - Log2(FMA(w, inverse, 1))
	if loss < 0 { // by rounding
		loss = 0
	}
	return FMA(inside, loss, float32((w+w)*((bits-total)+all)))
}

// Edge is the weight of the edge of a node to a cluster, from the product of their
// vectors, one over the length of the node's and the cluster's bias: soft ones are
// powers of two, others what is above 0.
func Edge(product, scale, bias float32, soft bool) float32 {
	s := FMA(product, scale, bias)
	if soft {
		return Exp2(s)
	}
	if s < 0 {
		return 0
	}
	return s
}

// Exp2Terms is a minimax fit of 2ʳ on |r| ≤ ½, from the highest power down.
var Exp2Terms = [...]float32{0.009570099413394928, 0.05591786280274391, 0.240247443318367, 0.6931217908859253, 0.9999992847442627}

// Exp2 gives 2ˣ with a relative error of 3e-6, for x up to 126; smaller ones than
// −125 count as that.
func Exp2(x float32) float32 {
	if x < -125 {
		x = -125
	}
	t := x + ExpMagic // the nearest integer, in the low bits
	r := x - (t - ExpMagic)
	p := Exp2Terms[0]
	for _, c := range Exp2Terms[1:] {
		p = FMA(p, r, c)
	}
	return math.Float32frombits(math.Float32bits(p) + math.Float32bits(t)<<23)
}

// InverseLength is one over the length of a vector, and 0 for one of zeros.
func InverseLength(x []float32) float32 {
	var a, b, c, d float64 // of the values i, i+1, i+2 and i+3; products are exact
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0]) * float64(x[0])
		b += float64(x[1]) * float64(x[1])
		c += float64(x[2]) * float64(x[2])
		d += float64(x[3]) * float64(x[3])
	}
	for _, v := range x {
		a += float64(v) * float64(v)
	}
	sum := (a + b) + (c + d)
	if sum == 0 {
		return 0
	}
	return float32(1 / math.Sqrt(sum))
}
