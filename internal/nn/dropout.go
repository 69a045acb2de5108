package nn

import "github.com/sotto-audio/sotto/internal/backend"

// Dropout marks where training drops values at random (Srivastava et al. 2014).
// A model that runs passes them.
type Dropout struct{}

// Params is empty.
func (*Dropout) Params() []*Param { return nil }

// Step gives x.
func (*Dropout) Step(_ *Stream, x *backend.Tensor) *backend.Tensor { return x }

// Backward gives dy.
func (*Dropout) Backward(_ *Stream, _, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	return dy
}
