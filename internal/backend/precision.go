package backend

import "fmt"

// Precision names the arithmetic of a matrix product.
type Precision int

// Precisions.
const (
	// Float32 is the product of Backend.MatMul.
	Float32 Precision = iota
	// BFloat16 rounds both factors to bfloat16, float32 cut to 8 bits of
	// significand, and adds in float32.
	BFloat16
	// Int8 rounds both factors to integers of 8 bits and adds in int32.
	Int8
	// TF32 lets a device with units for it round both factors to 11 bits of
	// significand and adds in float32; elsewhere it is Float32.
	TF32
)

// Precisions are all of them.
var Precisions = []Precision{Float32, BFloat16, Int8, TF32}

// String is what command lines call a precision.
func (p Precision) String() string {
	if p < Float32 || p > TF32 {
		return fmt.Sprintf("Precision(%d)", int(p))
	}
	return [...]string{"f32", "bf16", "int8", "tf32"}[p]
}

// MaxInt8 is the largest K of an Int8 product: K·127² fits an int32.
const MaxInt8 = (1<<31 - 1) / (127 * 127)

// Reducer is the part of a Backend that packs matrices for products of reduced
// precision. MatMul takes what it gives as it takes any Weights; Repack, Nearest
// and the gradients do not.
//
// Both arithmetics are those of one output row and one column, like that of
// MatMul: they do not depend on the other rows, so chunks equal the whole, and
// every instruction set gives the same bits. Only sum differs: the epilogue that
// follows is that of MatMul.
//
// Int8: a vector v (a row of x, a column of w) becomes integers q and a scale,
// with m = max|v|:
//
//	scale = m/127, q[i] = round to nearest even(v[i]·(127/m))
//
// If m < 2⁻¹⁰⁰ the scale and all q are 0; if a value is infinite or NaN the scale
// is NaN. The sum of the integer products is exact (K ≤ MaxInt8), and then
//
//	sum = float32(Σ_k qx[k]·qw[k])·(scale of the row·scale of the column)
//
// BFloat16: values are rounded to nearest even, and to a zero of the same sign
// where the result is denormal. The sum starts at +0 and adds by FMA, pair after
// pair (k, k+1), the second of a pair first; where K is odd the last pair ends in
// +0·+0. A sum whose rounded value is below 2⁻¹²⁶ becomes a zero of its sign. This
// is what the bfloat16 dot product of AVX-512 does, and a plain FMA that flushes
// denormals. The tensor cores of graphics processors add in an order of their own, to
// about the precision of float32, and do not flush; so they do of TF32.
type Reducer interface {
	// PackReduced lays out w [K, N] row-major for MatMul in precision p; with
	// Float32, and where TF32 is that, it is Pack.
	PackReduced(w []float32, k, n int, p Precision) *Weights
}
