package f32

// Lanes is the number of partial sums of a canonical row sum.
const Lanes = 16

// Tree adds up the partial sums of a row: i += i+8, then i+4, i+2, i+1.
func Tree(p *[Lanes]float32) float32 {
	for half := Lanes / 2; half > 0; half /= 2 {
		for i := range half {
			p[i] += p[i+half]
		}
	}
	return p[0]
}
