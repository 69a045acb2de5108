package cpu

import "github.com/sotto-audio/sotto/internal/backend/f32"

// maxTile is the largest number of floats in a tile of any kernel.
const maxTile = 12 * 32

// gemmFunc sets or, with load, continues the tile c += a·b over kc products.
// Strides are in bytes: ars between rows of a, aks between products, bps
// between column panels of b, cs between rows of c.
type gemmFunc func(kc int, a *float32, ars, aks uintptr, b *float32, bps uintptr, c *float32, cs uintptr, load bool)

// kernels is one set of kernels of equal results.
type kernels struct {
	name string
	// nr is the width of a column panel of packed weights.
	nr int
	// tile[mr] is the kernel of mr rows and one panel.
	tile []gemmFunc
	// wide[mr], where not nil, is the kernel of mr rows and wideBy[mr] panels,
	// which hides the latency of FMA where rows are few.
	wide   []gemmFunc
	wideBy []int
}

func (k *kernels) mr() int { return len(k.tile) - 1 }

var portable = &kernels{name: "portable", nr: 16, tile: make([]gemmFunc, 5)}

// gemmPortable is the tile of the portable path.
func gemmPortable(kc, mr, nr int, a []float32, ars, aks int, b, c []float32, cs int, load bool) {
	for i := range mr {
		row := c[i*cs : i*cs+nr]
		if !load {
			clear(row)
		}
		for k := range kc {
			x := a[i*ars+k*aks]
			for j, w := range b[k*nr : k*nr+nr] {
				row[j] = f32.FMA(x, w, row[j])
			}
		}
	}
}
