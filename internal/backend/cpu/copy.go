package cpu

import "github.com/sotto-audio/sotto/internal/backend"

// Copy copies rows.
func (b *Backend) Copy(dst, src *backend.Tensor) {
	if dst.Dense() && src.Dense() {
		copy(dst.Data[:dst.Rows*dst.Cols], src.Data)
		return
	}
	for r := range src.Rows {
		copy(dst.Row(r), src.Row(r))
	}
}
