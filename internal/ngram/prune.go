package ngram

import "math"

// pruneEntropy takes out the n-grams that are worth little: those without which the
// perplexity of the model, over what it foretells itself, would grow by less than a
// share (Stolcke 1998, equations 3 to 5). The probability of a context is how often
// it occurs in the text. N-grams that longer ones begin with stay.
func (t *tree) pruneEntropy(share float64) {
	stays := make([]bool, len(t.word))
	for k := t.order(); k > 1; k-- {
		for n := t.level[k-1]; n < t.level[k]; n++ {
			if t.first[n] == t.first[n+1] {
				continue
			}
			here, below := t.held(uint32(n))
			for x := t.first[n]; x < t.first[n+1]; x++ {
				for y := t.first[x]; y < t.first[x+1] && !stays[x]; y++ {
					stays[x] = stays[y]
				}
				if !stays[x] {
					stays[x] = math.Expm1(t.loss(uint32(n), x, here, below)) >= share
				}
			}
		}
	}
	for n := range t.level[2] {
		stays[n] = true
	}
	t.keep(func(n uint32) bool { return stays[n] })
	t.weigh()
}

// loss is the relative entropy, in nats a unit, between the model and one without
// the n-gram x, which follows the context n; here and below are held(n).
func (t *tree) loss(n, x uint32, here, below float64) float64 {
	own := math.Exp(float64(t.prob[x]))
	_, lower := t.score(t.suffix[n], t.word[x])
	less := math.Exp(lower)
	without := math.Log(max(1-here+own, 1e-7)) - math.Log(max(1-below+less, 1e-7))
	return float64(t.share[n]) * (own*(float64(t.prob[x])-lower-without) +
		max(1-here, 0)*(float64(t.backoff[n])-without))
}
