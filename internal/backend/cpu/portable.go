package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend/f32"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

// naive runs the operations other than products where there are no vector
// kernels: written without them they come out as the definition.
var naive ref.Backend

// gemmPortable is the tile of the portable path.
func gemmPortable(kc int, t taps, mr, nr int, a []float32, ars, aks int, b, c []float32, cs int, load bool) {
	for i := range mr {
		row := c[i*cs : i*cs+nr]
		if !load {
			clear(row)
		}
		for k := range t.n * kc {
			x := a[i*ars+k/kc*t.apart+k%kc*aks]
			for j, w := range b[k*nr : k*nr+nr] {
				row[j] = f32.FMA(x, w, row[j])
			}
		}
	}
}
