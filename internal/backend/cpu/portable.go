package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend/f32"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

// naive runs the operations other than products where there are no vector
// kernels: written without them they come out as the definition.
var naive ref.Backend

// gemmPortable is the tile of the portable path.
func gemmPortable(f factors, mr, nr int, panel []float32, from, to sums) {
	for i := range mr {
		row := to.data[i*to.stride:][:nr]
		if from.data == nil {
			clear(row)
		} else {
			copy(row, from.data[i*from.stride:])
		}
		w := panel
		for run := range f.runs + f.more {
			a := f.a
			at := i*f.rows + run*f.apart
			if run >= f.runs {
				a, at = f.next, i*f.rows+(run-f.runs)*f.apart
			}
			for k := range f.k {
				x := a[at+k*f.step]
				for j, v := range w[:nr] {
					row[j] = f32.FMA(x, v, row[j])
				}
				w = w[nr:]
			}
		}
	}
}
