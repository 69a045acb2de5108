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
	// both, (a + b·2³²)·x = a·x + b·x·2³²: [out/8][in][4].
	words [][4]int64
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
	m.words = make([][4]int64, (out+7)/8*in)
	for k := range in {
		for n := range out {
			m.words[n/8*in+k][n%8/2] += int64(w[k*out+n]) << (32 * (n % 2))
		}
	}
	return m
}

// term is a value of a vector that is not 0, and its place.
type term struct{ row, value int32 }

// add sets y = start + x·M, where x has a zero after its last value if their
// number is odd. No sum may leave 32 bits (see Network.check). Portable code needs
// room for a term of each value of x.
func (m *matrix) add(y, start []int32, x []int16, room []term) {
	if vectors {
		m.addVectors(y, start, x)
		return
	}
	// Half of the units that are rectified are 0, and more.
	room = room[:m.in]
	n := 0
	for k, v := range x[:m.in] {
		room[n] = term{int32(k), int32(v)}
		if v != 0 {
			n++
		}
	}
	terms := room[:n]
	for n := 0; n < m.out; n += 8 {
		s0, s1, s2, s3 := columns(m.words[n/8*m.in:][:m.in], terms)
		if n+8 > m.out {
			var sums [8]int32
			for i, s := range [...]int64{s0, s1, s2, s3} {
				split(sums[2*i:], sums[2*i:], s)
			}
			finish(y, start, sums[:], n, m.out)
			break
		}
		y, start := y[n:][:8], start[n:][:8]
		split(y, start, s0)
		split(y[2:], start[2:], s1)
		split(y[4:], start[4:], s2)
		split(y[6:], start[6:], s3)
	}
}

// columns gives the sums of 8 columns. It is a function of its own so that they stay in
// registers.
//
//go:noinline
func columns(rows [][4]int64, terms []term) (s0, s1, s2, s3 int64) {
	for _, t := range terms {
		w, v := &rows[t.row], int64(t.value)
		s0 += w[0] * v
		s1 += w[1] * v
		s2 += w[2] * v
		s3 += w[3] * v
	}
	return
}

// split sets two columns to their starts and the sums that are in a word.
func split(y, start []int32, s int64) {
	low := int32(s)
	y[0], y[1] = start[0]+low, start[1]+int32((s-int64(low))>>32)
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
