// Package ref is the naive backend: every operation written as its definition,
// one element after the other. Faster backends are held to its bits.
package ref

import (
	"github.com/sotto-audio/sotto/internal/backend"
)

// Backend is the reference backend. The zero value is ready.
type Backend struct{}

var _ backend.Backend = Backend{}

// Name is "ref".
func (Backend) Name() string { return "ref" }

// New gives a zeroed dense tensor.
func (Backend) New(rows, cols int) *backend.Tensor {
	return backend.Host(make([]float32, rows*cols), rows, cols)
}

// Upload copies host values into a dense tensor.
func (Backend) Upload(dst *backend.Tensor, src []float32) { copy(dst.Data, src) }

// Download copies a tensor to the host.
func (Backend) Download(dst []float32, src *backend.Tensor) {
	for r := range src.Rows {
		copy(dst[r*src.Cols:], src.Row(r))
	}
}
