package ref

import "github.com/sotto-audio/sotto/internal/backend"

// Copy copies rows.
func (Backend) Copy(dst, src *backend.Tensor) {
	for r := range src.Rows {
		copy(dst.Row(r), src.Row(r))
	}
}
