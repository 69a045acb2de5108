package ngram

import "math"

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
// algorithm (1982), begun with as many values around each. A value counts by the
// square root of how often it occurs: the likely n-grams, that are few, are used most.
func roundTo(v []int16, most int) {
	if len(distinct(v)) <= most {
		return
	}
	weight := make([]float64, 1<<16) // from the lowest value on
	for _, x := range v {
		weight[int(x)+1<<15]++
	}
	total := 0.0
	for i, n := range weight {
		weight[i] = math.Sqrt(n)
		total += weight[i]
	}
	var codes []float64
	seen := 0.0
	for i, w := range weight {
		if seen += w; w > 0 && seen*float64(most) > float64(len(codes))*total && len(codes) < most {
			codes = append(codes, float64(i))
		}
	}
	// nearest goes through the values with the code of each.
	nearest := func(use func(i, code int)) {
		at := 0
		for i := range weight {
			for at+1 < len(codes) && codes[at+1]-float64(i) < float64(i)-codes[at] {
				at++
			}
			use(i, at)
		}
	}
	for range 20 {
		sum, all := make([]float64, len(codes)), make([]float64, len(codes))
		nearest(func(i, code int) {
			sum[code] += float64(i) * weight[i]
			all[code] += weight[i]
		})
		for j := range codes {
			if all[j] > 0 {
				codes[j] = sum[j] / all[j]
			}
		}
	}
	to := make([]int16, len(weight))
	nearest(func(i, code int) { to[i] = int16(int(codes[code]+0.5) - 1<<15) })
	for i, x := range v {
		v[i] = to[int(x)+1<<15]
	}
}
