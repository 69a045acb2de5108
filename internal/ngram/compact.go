package ngram

// tableSize bounds the different logarithms of a length in version 2 of the file.
const tableSize = 256

// tables are the different probabilities and back-off weights of each length,
// ascending; false where they are too many for version 2.
func (m *Model) tables() (probs, backoffs [][]int16, ok bool) {
	for k := range m.order() {
		lo, hi := m.level[k+1], m.level[k+2]
		p, b := distinct(m.prob[lo:hi]), distinct(m.backoff[lo:hi])
		if len(p) > tableSize || k+1 < m.order() && len(b) > tableSize {
			return nil, nil, false
		}
		if k+1 == m.order() && len(b) > 0 && (len(b) > 1 || b[0] != 0) {
			return nil, nil, false
		}
		probs, backoffs = append(probs, p), append(backoffs, b)
	}
	return probs, backoffs, true
}

func distinct(v []int16) []int16 {
	seen := make([]bool, 1<<16)
	for _, x := range v {
		seen[uint16(x)] = true
	}
	var out []int16
	for x := -1 << 15; x < 1<<15; x++ {
		if seen[uint16(int16(x))] {
			out = append(out, int16(x))
		}
	}
	return out
}

// compact rounds the logarithms of each length to so many values.
func (m *Model) compact(most int) {
	for k := range m.order() {
		lo, hi := m.level[k+1], m.level[k+2]
		roundTo(m.prob[lo:hi], most)
		roundTo(m.backoff[lo:hi], most)
	}
}

// roundTo rounds values to at most so many ones with little error: those of Lloyd's
// algorithm (1982), begun with as many values around each.
func roundTo(v []int16, most int) {
	number := make([]int, 1<<16) // how often a value occurs, from the lowest on
	for _, x := range v {
		number[int(x)+1<<15]++
	}
	if len(distinct(v)) <= most {
		return
	}
	var codes []float64
	for i, seen := 0, 0; i < len(number); i++ {
		if seen += number[i]; number[i] > 0 && seen*most > len(codes)*len(v) && len(codes) < most {
			codes = append(codes, float64(i))
		}
	}
	nearest := make([]uint16, len(number))
	for range 20 {
		sum, weight := make([]float64, len(codes)), make([]float64, len(codes))
		at := 0
		for i, n := range number {
			for at+1 < len(codes) && codes[at+1]-float64(i) < float64(i)-codes[at] {
				at++
			}
			nearest[i] = uint16(at)
			sum[at] += float64(i) * float64(n)
			weight[at] += float64(n)
		}
		for j := range codes {
			if weight[j] > 0 {
				codes[j] = sum[j] / weight[j]
			}
		}
	}
	at := 0
	for i := range number {
		for at+1 < len(codes) && codes[at+1]-float64(i) < float64(i)-codes[at] {
			at++
		}
		nearest[i] = uint16(int(codes[at] + 0.5))
	}
	for i, x := range v {
		v[i] = int16(int(nearest[int(x)+1<<15]) - 1<<15)
	}
}
