package entropy

// panel is the number of columns that add side by side.
const panel = 32

// matrix holds 16-bit weights [in][out] for products with vectors of integers.
type matrix struct {
	in, out int
	// Vector instructions take two rows of 32 columns at a time, value beside value:
	// [out/32][in/2][32][2], filled up with zeros.
	pairs []int16
	// Portable code takes two columns in a word, so that one multiplication serves
	// both, (a + b·2³²)·x = a·x + b·x·2³²: [out/16][in][8].
	words [][8]int64
}

// newMatrix lays out w [in][out].
func newMatrix(w []int16, in, out int) matrix {
	m := matrix{in: in, out: out}
	if vectors {
		steps := (in + 1) / 2
		m.pairs = make([]int16, (out+panel-1)/panel*steps*panel*2)
		for k := range in {
			for n := range out {
				m.pairs[((n/panel*steps+k/2)*panel+n%panel)*2+k%2] = w[k*out+n]
			}
		}
		return m
	}
	m.words = make([][8]int64, (out+15)/16*in)
	for k := range in {
		for n := range out {
			m.words[n/16*in+k][n%16/2] += int64(w[k*out+n]) << (32 * (n % 2))
		}
	}
	return m
}

// add sets y = start + x·M, where x has a zero after its last value if their
// number is odd. No sum may leave 32 bits (see Network.check).
func (m *matrix) add(y, start []int32, x []int16) {
	if vectors {
		m.addVectors(y, start, x)
		return
	}
	x = x[:m.in]
	for n := 0; n < m.out; n += 16 {
		var s0, s1, s2, s3, s4, s5, s6, s7 int64
		rows := m.words[n/16*m.in:][:len(x)]
		for k, v := range x {
			w, v := &rows[k], int64(v)
			s0 += w[0] * v
			s1 += w[1] * v
			s2 += w[2] * v
			s3 += w[3] * v
			s4 += w[4] * v
			s5 += w[5] * v
			s6 += w[6] * v
			s7 += w[7] * v
		}
		var sums [16]int32
		for i, s := range [...]int64{s0, s1, s2, s3, s4, s5, s6, s7} {
			low := int32(s)
			sums[2*i], sums[2*i+1] = low, int32((s-int64(low))>>32)
		}
		finish(y, start, sums[:], n, m.out)
	}
}

// finish adds sums to the columns of y from n on.
func finish(y, start, sums []int32, n, out int) {
	sums = sums[:min(len(sums), out-n)]
	y, start = y[n:][:len(sums)], start[n:][:len(sums)]
	for i, s := range sums {
		y[i] = start[i] + s
	}
}

// vector gives memory for n values of a vector that is multiplied.
func vector(n int) []int16 { return make([]int16, n, (n+1)/2*2) }
