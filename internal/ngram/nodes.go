package ngram

import (
	"math"
	"slices"
)

// nodes is a trie of n-grams. Node 0 is the empty context; the others lie level by
// level, those of a level in the order of their units, so that the children of a
// node lie together.
type nodes struct {
	word  []uint32 // last unit of the n-gram
	first []uint32 // first child; one entry more than nodes
	level []int    // first node of each length, and the end
	// suffix is the n-gram without its first unit, or less, that is in the trie. A
	// Model has it for all but the longest n-grams, that nothing follows.
	suffix []uint32
}

func (t *nodes) order() int { return len(t.level) - 2 }

// counts are the numbers of n-grams by length, from 1.
func (t *nodes) counts() []int {
	var out []int
	for k := 1; k <= t.order(); k++ {
		out = append(out, t.level[k+1]-t.level[k])
	}
	return out
}

// find gives the child of n that ends with a unit, 0 for none.
func (t *nodes) find(n, id uint32) uint32 {
	lo, hi := t.first[n], t.first[n+1]
	if n == 0 && t.word[hi-1] == hi-lo-1 {
		// All units are there.
		if id < hi-lo {
			return lo + id
		}
		return 0
	}
	i, ok := slices.BinarySearch(t.word[lo:hi], id)
	if !ok {
		return 0
	}
	return lo + uint32(i)
}

// link makes the suffixes of n-grams up to a length.
func (t *nodes) link(length int) {
	t.suffix = make([]uint32, t.level[length+1])
	for n := 1; n < t.level[length]; n++ {
		for x := t.first[n]; x < t.first[n+1]; x++ {
			for s := t.suffix[n]; ; s = t.suffix[s] {
				if y := t.find(s, t.word[x]); y != 0 {
					t.suffix[x] = y
					break
				}
				if s == 0 {
					break
				}
			}
		}
	}
}

// shape lays nodes out: children are the numbers of children of all nodes but
// those of the last length, level by level.
func (t *nodes) shape(children []uint32) {
	n := uint32(len(t.word))
	t.first = make([]uint32, n+1)
	next := uint32(1)
	for i, c := range children {
		t.first[i] = next
		next += c
	}
	for i := len(children); i <= int(n); i++ {
		t.first[i] = n
	}
}

// tree is a model that is being made.
type tree struct {
	nodes
	prob, backoff []float32 // natural logarithms
	share         []float32 // how often the n-gram occurs, to all units of the text
}

// score gives the longest n-gram in the tree that ends with a unit after the
// context n, and the unit's log-probability.
func (t *tree) score(n, id uint32) (uint32, float64) {
	sum := 0.0
	for ; ; n = t.suffix[n] {
		if x := t.find(n, id); x != 0 {
			return x, sum + float64(t.prob[x])
		}
		if n == 0 {
			return 0, math.Inf(-1)
		}
		sum += float64(t.backoff[n])
	}
}

// weigh gives each context the weight of what it does not hold, so that its
// probabilities sum to one.
func (t *tree) weigh() {
	clear(t.backoff)
	for n := 1; n < t.level[t.order()]; n++ {
		if t.first[n] == t.first[n+1] {
			continue
		}
		here, below := t.held(uint32(n))
		t.backoff[n] = float32(math.Log(max(1-here, 1e-7)) - math.Log(max(1-below, 1e-7)))
	}
}

// held is the probability of all that a context holds, and what it would be without
// the context's first unit.
func (t *tree) held(n uint32) (here, below float64) {
	for x := t.first[n]; x < t.first[n+1]; x++ {
		here += math.Exp(float64(t.prob[x]))
		_, p := t.score(t.suffix[n], t.word[x])
		below += math.Exp(p)
	}
	return here, below
}

// keep takes nodes out; those that stay must have their parents.
func (t *tree) keep(stays func(n uint32) bool) {
	level := []int{0}
	children := make([]uint32, 0, t.level[t.order()])
	to := 0
	at := make([]uint32, 0, t.level[t.order()]) // new places of parents
	for k := 0; k <= t.order(); k++ {
		for n := t.level[k]; n < t.level[k+1]; n++ {
			if n > 0 && !stays(uint32(n)) {
				if k < t.order() {
					at = append(at, 0)
				}
				continue
			}
			if k < t.order() {
				at = append(at, uint32(to))
				children = append(children, 0)
			}
			t.word[to], t.prob[to], t.backoff[to], t.share[to] = t.word[n], t.prob[n], t.backoff[n], t.share[n]
			to++
		}
		level = append(level, to)
	}
	for n := range at {
		if n > 0 && at[n] == 0 {
			continue
		}
		for x := t.first[n]; x < t.first[n+1]; x++ {
			// Nodes that stay are told by their order: count them below.
			if stays(x) {
				children[at[n]]++
			}
		}
	}
	t.word, t.prob, t.backoff, t.share = t.word[:to], t.prob[:to], t.backoff[:to], t.share[:to]
	t.level = level
	t.shape(children)
	t.link(t.order())
}

// model gives the tree its final form.
func (t *tree) model(characters bool, vocabulary []string) *Model {
	m := &Model{nodes: t.nodes, characters: characters, vocabulary: vocabulary}
	m.suffix = slices.Clip(m.suffix[:m.level[m.order()]])
	m.prob, m.backoff = make([]int16, len(t.prob)), make([]int16, len(t.prob))
	for n := range t.prob {
		m.prob[n], m.backoff[n] = quantize(float64(t.prob[n])), quantize(float64(t.backoff[n]))
	}
	m.prob[0], m.backoff[0] = 0, 0
	m.index()
	return m
}
