//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

// TestLong holds products over very many values to their sums: they are right, or, where
// a software device would end its loops before, an error.
func TestLong(t *testing.T) {
	b, d := open(t)
	for _, k := range []int{70_000, 130_000, 131_072, 140_000, 260_000, 300_000} {
		x, w := make([]float32, k), make([]float32, k)
		var want float32
		for i := range x {
			x[i], w[i] = float32(i%3), 1
			want += x[i]
		}
		for _, p := range []backend.Precision{backend.Float32, backend.BFloat16} {
			y := b.New(3, 1)
			err := func() (err error) {
				defer backend.Recover(&err)
				b.MatMul(y, &backend.Tensor{Rows: 3, Cols: k, Data: x}, b.PackReduced(w, k, 1, p), backend.Epilogue{})
				b.Wait()
				return nil
			}()
			refused := d.Software() && (k > 260_000 || p == backend.BFloat16 && k > 130_000)
			switch {
			case refused && (err == nil || !strings.Contains(err.Error(), d.Name())):
				t.Errorf("%v over %d values: error %v", p, k, err)
			case !refused && (err != nil || y.Data[0] != want || y.Data[2] != want):
				t.Errorf("%v over %d values: %g, want %g (%v)", p, k, y.Data[0], want, err)
			}
		}
	}
}
