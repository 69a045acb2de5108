//go:build static || !(linux || darwin)

package blas

import "errors"

// Library is OpenBLAS, which is not looked for here.
type Library struct{}

// Open finds the library.
func Open() (*Library, error) {
	return nil, errors.New("blas: OpenBLAS is looked for on Linux and macOS only, and not by static builds")
}

// Config is what the library says of itself.
func (*Library) Config() string { return "" }

// Threads sets the number of threads of a product.
func (*Library) Threads(int) {}

// Product multiplies matrices.
func (*Library) Product(_, _, _ []float32, _, _, _ int, _ bool) {}

// Vector multiplies a vector by a matrix.
func (*Library) Vector(_, _, _ []float32, _, _ int, _ bool) {}
