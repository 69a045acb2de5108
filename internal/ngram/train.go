package ngram

import (
	"errors"
	"fmt"
	"math"
)

// Options of training.
type Options struct {
	Order int    // length of the longest n-grams, 1 to 20
	Units string // Words or Characters
	// MaxUnits keeps so many of the most frequent units in the vocabulary; 0 keeps
	// all. The others are one unknown unit.
	MaxUnits int
	// Prune leaves out n-grams that occur so often or less, from length 2 on; the
	// last number holds for all longer ones.
	Prune []int
	// PruneEntropy leaves out n-grams without which the perplexity grows by less
	// than this share, one at a time (Stolcke 1998).
	PruneEntropy float64
	// Plain takes the numbers of shorter n-grams as they are, and not how many
	// units go before them: better where most of the longer ones are pruned
	// (Chelba et al. 2010).
	Plain bool
	// Bits of a stored logarithm, 1 to 8: those of each length are rounded to so many
	// values that they need no more, for small files; 0 does not round them.
	Bits int
}

// maxOrder bounds the length of n-grams, also in files.
const maxOrder = 20

// Train makes a model of sentences, whose words are parted by spaces.
func Train(sentences []string, o Options) (*Model, error) {
	if o.Units == "" {
		o.Units = Words
	}
	c, err := NewCorpus(o.Units)
	if err != nil {
		return nil, err
	}
	for _, s := range sentences {
		c.Add(s)
	}
	return TrainMixture([]Part{{c, 1}}, o)
}

// TrainMixture makes one model of several texts: its probabilities are those of a
// model of each, times its share of the weights. The texts are used up.
func TrainMixture(parts []Part, o Options) (*Model, error) {
	if o.Order < 1 || o.Order > maxOrder {
		return nil, fmt.Errorf("n-grams of %d units: choose 1 to %d", o.Order, maxOrder)
	}
	if o.Bits < 0 || 1<<o.Bits > tableSize {
		return nil, fmt.Errorf("logarithms of %d bits: choose 1 to 8, or 0 for whole ones", o.Bits)
	}
	if len(parts) == 0 {
		return nil, errors.New("no text")
	}
	total := 0.0
	for _, p := range parts {
		if !(p.Weight > 0) || math.IsInf(p.Weight, 0) {
			return nil, fmt.Errorf("a weight of %v: it must be positive", p.Weight)
		}
		if p.Text.characters != parts[0].Text.characters {
			return nil, errors.New("texts of words and of characters do not mix")
		}
		if p.Text.names == nil {
			return nil, errors.New("a text can be used once")
		}
		total += p.Weight
	}
	characters := parts[0].Text.characters
	vocabulary := vocabularyOf(parts, o.MaxUnits)
	var trees []*tree
	var weights []float64
	for _, p := range parts {
		t, err := estimate(p.Text.text, len(vocabulary), o)
		if err != nil {
			return nil, err
		}
		p.Text.text = nil
		trees, weights = append(trees, t), append(weights, p.Weight/total)
	}
	t := trees[0]
	if len(trees) > 1 {
		t = mix(trees, weights)
	}
	if o.PruneEntropy > 0 {
		t.pruneEntropy(o.PruneEntropy)
	}
	m := t.model(characters, vocabulary)
	if o.Bits > 0 {
		m.compact(1 << o.Bits)
	}
	return m, nil
}

// estimate gives the n-grams of a text with their probabilities.
func estimate(text []uint32, vocabulary int, o Options) (*tree, error) {
	t, raw, err := count(text, vocabulary, o.Order)
	if err != nil {
		return nil, err
	}
	seen := raw
	if !o.Plain {
		seen = t.continuations(raw)
	}
	if o.Order > 0 {
		seen[1+begin] = 0 // it never follows anything
	}
	t.smooth(seen)
	t.share = make([]float32, len(raw))
	for n, c := range raw {
		t.share[n] = float32(float64(c) / float64(len(text)))
	}
	t.share[0] = 1
	t.backoff = make([]float32, len(raw))
	t.prune(seen, o.Prune)
	t.weigh()
	return t, nil
}

// continuations replaces the counts of shorter n-grams by the number of different
// units that go before them, but for those at the begin of a sentence.
func (t *tree) continuations(raw []uint32) []uint32 {
	out := make([]uint32, len(raw))
	top := t.level[t.order()]
	copy(out[top:], raw[top:])
	for x := t.level[min(2, t.order()+1)]; x < len(raw); x++ {
		if s := t.suffix[x]; int(s) < top {
			out[s]++
		}
	}
	// What begins with the begin of a sentence lies together.
	lo, hi := uint32(1+begin), uint32(2+begin)
	for k := 1; k < t.order(); k++ {
		copy(out[lo:hi], raw[lo:hi])
		lo, hi = t.first[lo], t.first[hi]
	}
	return out
}

// discounts are D1, D2 and D3+ at 1 to 3 (Chen and Goodman 1998, equation 17),
// kept between 0.1 and 0.1 below the count, where little text gives odd ones.
func discounts(seen []uint32) (d [4]float64) {
	var n [5]float64
	for _, x := range seen {
		if x <= 4 {
			n[x]++
		}
	}
	if n[1] == 0 || n[2] == 0 {
		return [4]float64{0, 0.5, 0.5, 0.5} // too little text for the formula
	}
	y := n[1] / (n[1] + 2*n[2])
	for k := 1; k <= 3; k++ {
		d[k] = float64(k)
		if n[k] > 0 {
			d[k] -= float64(k+1) * y * n[k+1] / n[k]
		}
		d[k] = max(0.1, min(d[k], float64(k)-0.1))
	}
	return d
}

// smooth gives all n-grams their probabilities, interpolated with those of shorter
// ones.
func (t *tree) smooth(seen []uint32) {
	t.prob = make([]float32, len(seen))
	for k := 1; k <= t.order(); k++ {
		d := discounts(seen[t.level[k]:t.level[k+1]])
		for n := t.level[k-1]; n < t.level[k]; n++ {
			lo, hi := t.first[n], t.first[n+1]
			sum, reserved := 0.0, 0.0
			for _, c := range seen[lo:hi] {
				sum += float64(c)
				reserved += d[min(c, 3)]
			}
			for x := lo; x < hi; x++ {
				below := 1 / float64(hi-lo-1) // of all that can follow: not the begin
				if k > 1 {
					below = math.Exp(float64(t.prob[t.suffix[x]]))
				}
				c := seen[x]
				t.prob[x] = float32(math.Log((float64(c) - d[min(c, 3)] + reserved*below) / sum))
			}
		}
	}
	t.prob[1+begin] = float32(math.Inf(-1))
}

// prune takes rare n-grams out, but for the begins of those that stay.
func (t *tree) prune(seen []uint32, limits []int) {
	if len(limits) == 0 {
		return
	}
	stays := make([]bool, len(seen))
	for k := t.order(); k > 0; k-- {
		limit := 0
		if k > 1 {
			limit = limits[min(k-2, len(limits)-1)]
		}
		for n := t.level[k]; n < t.level[k+1]; n++ {
			stays[n] = k == 1 || int(seen[n]) > limit
			for x := t.first[n]; x < t.first[n+1] && !stays[n]; x++ {
				stays[n] = stays[x]
			}
		}
	}
	t.keep(func(n uint32) bool { return stays[n] })
}
