package entropy

import "golang.org/x/sys/cpu"

// vectors says that addVectors runs here.
var vectors = cpu.X86.HasAVX && cpu.X86.HasAVX2

func (m *matrix) addVectors(y, start []int32, x []int16) {
	steps := (m.in + 1) / 2
	x = x[:2*steps]
	var sums [panel]int32
	for n := 0; n < m.out; n += panel {
		panel256(steps, &x[0], &m.pairs[n*steps*2], &sums)
		finish(y, start, sums[:], n, m.out)
	}
}

// panel256 sets the sums of 32 columns: pairs of x times pairs of w.
//
//go:noescape
func panel256(steps int, x, w *int16, sums *[panel]int32)
