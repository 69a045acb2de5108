package descript

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// noise adds noise of unit variance, the same for all channels of a row, times a
// projection of its input (SNAC, section 3.2). The original draws it anew each
// time; here it depends on the row and the block alone, so that the same tokens
// give the same samples.
type noise struct {
	*nn.Linear
	block int
}

// Step adds the noise of the rows that follow.
func (l *noise) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	h := l.Linear.Step(s, x)
	steps := x.Rows / s.Batch
	st := s.State(l, 0, x.Cols)
	s.Wait()
	s.Each(x.Rows, 1, float64(x.Cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			n := Noise(l.block, st.Seen+r%steps)
			row := h.Row(r)
			for i, v := range x.Row(r)[:len(row)] {
				row[i] = v + float32(n*row[i])
			}
		}
	})
	st.Seen += steps
	return h
}

// Noise is that of a row of a decoder block: twelve numbers of 16 bits, from
// SplitMix64 (Steele et al. 2014), added up and scaled to unit variance.
func Noise(block, row int) float32 {
	state := uint64(block)<<48 + uint64(row)*3
	sum := 0
	for range 3 {
		state++
		z := state * 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		sum += int(z&0xffff + z>>16&0xffff + z>>32&0xffff + z>>48)
	}
	return float32(2*sum-12*0xffff) / (1 << 17)
}
