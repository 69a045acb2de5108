package ngram

import (
	"math"
	"slices"
)

// rarely is the share of a text's n-grams up to which how often a context occurs in
// it says little of whether the text is the right one to foretell what follows.
const rarely = 1e-5

// mix makes one tree of several over the same vocabulary, with all their n-grams:
// a probability is the sum of theirs, times their weights. Where texts differ in how
// often they have the context, the weights are those that Bayes' rule gives after it
// (the counts merged of Hsu 2007 and Bacchiani et al. 2006).
func mix(trees []*tree, weights []float64) *tree {
	order := trees[0].order()
	out := &tree{nodes: nodes{word: []uint32{0}, level: []int{0, 1}}, prob: []float32{0}, share: []float32{1}}
	var children []uint32
	// state holds, for each node of the last level, the longest end of its n-gram
	// that each tree has.
	state := make([]uint32, len(trees))
	var words []uint32
	for k := range order {
		var next []uint32
		for n := range out.level[k+1] - out.level[k] {
			from := state[n*len(trees):][:len(trees)]
			words = words[:0]
			for i, t := range trees {
				if s := int(from[i]); s >= t.level[k] && s < t.level[k+1] {
					words = append(words, t.word[t.first[s]:t.first[s+1]]...)
				}
			}
			after := weigher(trees, weights, from, k)
			slices.Sort(words)
			words = slices.Compact(words)
			children = append(children, uint32(len(words)))
			for _, w := range words {
				p, share := 0.0, 0.0
				for i, t := range trees {
					x, log := t.score(from[i], w)
					p += after[i] * math.Exp(log)
					if int(x) >= t.level[k+1] && int(x) < t.level[k+2] {
						share += weights[i] * float64(t.share[x])
					}
					next = append(next, x)
				}
				out.word, out.prob, out.share = append(out.word, w), append(out.prob, float32(math.Log(p))), append(out.share, float32(share))
			}
		}
		state = next
		out.level = append(out.level, len(out.word))
	}
	out.backoff = make([]float32, len(out.word))
	out.shape(children)
	out.link(order)
	out.weigh()
	return out
}

// weigher gives the weights of trees after a context of length k, that each has up to
// the state from.
func weigher(trees []*tree, weights []float64, from []uint32, k int) []float64 {
	out := make([]float64, len(trees))
	sum := 0.0
	for i, t := range trees {
		out[i] = rarely
		if s := int(from[i]); s >= t.level[k] && s < t.level[k+1] {
			out[i] += float64(t.share[s])
		}
		out[i] *= weights[i]
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}
