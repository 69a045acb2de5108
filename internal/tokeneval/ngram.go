package tokeneval

import "math"

// maxOrder is the longest n-gram that is counted.
const maxOrder = 3

// ngrams counts n-grams of ids and predicts ids by interpolation with absolute
// discounting (Ney, Essen & Kneser 1994): of the count of each n-gram a constant is
// taken, and what is taken goes to what the shorter n-grams say.
type ngrams struct {
	vocabulary int
	seen       [maxOrder]map[[maxOrder]int32]int // how often context and id occurred; places before the context are -1
	context    [maxOrder]map[[maxOrder]int32]follow
	discount   [maxOrder]float64
}

// follow says what came after a context.
type follow struct{ total, distinct int }

// share is the probability of what came n times after the context, where less is
// taken from each count and p is its probability by a shorter context.
func (f follow) share(n int, less, p float64) float64 {
	if f.total == 0 {
		return p
	}
	return (max(float64(n)-less, 0) + less*float64(f.distinct)*p) / float64(f.total)
}

// discount is n1/(n1 + 2·n2), of how many things were counted once and twice.
func discount[K comparable](counts map[K]int) float64 {
	var n [3]float64
	for _, c := range counts {
		if c < len(n) {
			n[c]++
		}
	}
	return (n[1] + 0.5) / (n[1] + 2*n[2] + 1) // in between where there are none
}

func newNgrams(vocabulary int) *ngrams {
	m := &ngrams{vocabulary: vocabulary}
	for i := range m.seen {
		m.seen[i] = map[[maxOrder]int32]int{}
		m.context[i] = map[[maxOrder]int32]follow{}
	}
	return m
}

// key is the n-gram of the given order that ends with id i; what lies before the
// sequence is -2.
func key(ids []int32, i, order int) [maxOrder]int32 {
	k := [maxOrder]int32{-1, -1, -1}
	for n := range order {
		k[maxOrder-1-n] = -2
		if i-n >= 0 {
			k[maxOrder-1-n] = ids[i-n]
		}
	}
	return k
}

// learn counts a sequence.
func (m *ngrams) learn(ids []int32) {
	for i := range ids {
		for o := range maxOrder {
			k := key(ids, i, o+1)
			n := m.seen[o][k]
			m.seen[o][k] = n + 1
			k[maxOrder-1] = -1
			f := m.context[o][k]
			f.total++
			if n == 0 {
				f.distinct++
			}
			m.context[o][k] = f
		}
	}
}

// finish ends learning.
func (m *ngrams) finish() {
	for o := range m.seen {
		m.discount[o] = discount(m.seen[o])
	}
}

// bits gives the cost of the id at a place of a sequence, for n-grams up to each
// order.
func (m *ngrams) bits(ids []int32, i int) (bits [maxOrder]float64) {
	p := 1 / float64(m.vocabulary)
	for o := range maxOrder {
		k := key(ids, i, o+1)
		n := m.seen[o][k]
		k[maxOrder-1] = -1
		p = m.context[o][k].share(n, m.discount[o], p)
		bits[o] = -math.Log2(p)
	}
	return bits
}

// Perplexity is 2^bits of an n-gram model of one order: 1 is certain, the size of
// the vocabulary is a guess.
type Perplexity struct {
	Order int     `json:"order"`
	Bits  float64 `json:"bits"` // a token
	Value float64 `json:"perplexity"`
}

// perplexities learns from sequences and measures others.
func perplexities(vocabulary int, learn, test [][]int32) []Perplexity {
	m := newNgrams(vocabulary)
	for _, s := range learn {
		m.learn(s)
	}
	m.finish()
	var sum [maxOrder]float64
	n := 0
	for _, s := range test {
		for i := range s {
			for o, b := range m.bits(s, i) {
				sum[o] += b
			}
			n++
		}
	}
	var out []Perplexity
	for o, s := range sum {
		b := s / float64(max(n, 1))
		out = append(out, Perplexity{o + 1, b, math.Exp2(b)})
	}
	return out
}
