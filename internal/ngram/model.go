// Package ngram holds n-gram language models of words or characters: training
// with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998),
// pruning, a compact file, and the ARPA text format.
package ngram

import (
	"math"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/internal/ctc"
)

// Units of a model.
const (
	Words      = "words"
	Characters = "characters"
)

// The first entries of every vocabulary.
const (
	unknown = iota // any unit that is not in it
	begin          // of a sentence
	end
	specials
)

var specialNames = [specials]string{"<unk>", "<s>", "</s>"}

// scale is the steps of a stored logarithm per nat.
const scale = 2000

// Model is a trie of n-grams with what they are worth. It is safe for concurrent use.
type Model struct {
	nodes
	characters bool
	vocabulary []string
	ids        map[string]uint32
	sorted     []string // vocabulary in order, for Prefix

	prob    []int16 // natural logarithm, in steps
	backoff []int16
}

// Order is the length of the longest n-grams.
func (m *Model) Order() int { return m.order() }

// Vocabulary is the number of units that the model knows.
func (m *Model) Vocabulary() int { return len(m.vocabulary) - specials }

// Counts are the numbers of n-grams by length, from 1.
func (m *Model) Counts() []int { return m.counts() }

// Characters says that units are characters.
func (m *Model) Characters() bool { return m.characters }

// Known says whether a unit is in the vocabulary.
func (m *Model) Known(unit string) bool { return m.ids[unit] >= specials }

// Prefix says whether a unit of the vocabulary begins so.
func (m *Model) Prefix(s string) bool {
	i, _ := slices.BinarySearch(m.sorted, s)
	return i < len(m.sorted) && strings.HasPrefix(m.sorted[i], s)
}

// Start is the context at the begin of a sentence.
func (m *Model) Start() ctc.Context { return m.after(0, m.find(0, begin), begin) }

// Score gives the natural logarithm of the probability of a unit after a
// context, and the context that follows.
func (m *Model) Score(c ctc.Context, unit string) (ctc.Context, float64) {
	return m.score(c, m.ids[unit])
}

// End is the natural logarithm of the probability that the sentence ends.
func (m *Model) End(c ctc.Context) float64 {
	_, p := m.score(c, end)
	return p
}

func (m *Model) score(c ctc.Context, id uint32) (ctc.Context, float64) {
	sum := 0
	for n := uint32(c); ; n = m.suffix[n] {
		if x := m.find(n, id); x != 0 {
			return m.after(n, x, id), float64(sum+int(m.prob[x])) / scale
		}
		if n == 0 {
			return 0, float64(sum+math.MinInt16) / scale // not in the model at all
		}
		sum += int(m.backoff[n])
	}
}

// after gives the longest end of the n-gram x, which is n and a unit, that says
// anything of what follows.
func (m *Model) after(n, x, id uint32) ctc.Context {
	for x == 0 || m.first[x] == m.first[x+1] {
		if n == 0 {
			return 0
		}
		n = m.suffix[n]
		x = m.find(n, id)
	}
	return ctc.Context(x)
}

// index makes what is found from the vocabulary.
func (m *Model) index() {
	m.ids = make(map[string]uint32, len(m.vocabulary))
	for i, w := range m.vocabulary {
		if i >= specials {
			m.ids[w] = uint32(i)
		}
	}
	m.sorted = slices.Sorted(slices.Values(m.vocabulary[specials:]))
}

// unitsOf a sentence: each word, or each character with a space after each word.
func unitsOf(sentence string, characters bool) []string {
	w := strings.Fields(sentence)
	if !characters || len(w) == 0 {
		return w
	}
	return strings.Split(strings.Join(w, " ")+" ", "")
}

// Evaluation is how well a model foretells a text.
type Evaluation struct {
	Sentences, Units, Unknown int
	// Perplexity per unit, ends of sentences included, unknown units excluded.
	Perplexity float64
}

// Evaluate scores sentences.
func (m *Model) Evaluate(sentences []string) Evaluation {
	var e Evaluation
	sum, n := 0.0, 0
	for _, s := range sentences {
		units := unitsOf(s, m.characters)
		if len(units) == 0 {
			continue
		}
		e.Sentences++
		c := m.Start()
		for _, u := range units {
			e.Units++
			var p float64
			c, p = m.Score(c, u)
			if !m.Known(u) {
				e.Unknown++
				continue
			}
			sum += p
			n++
		}
		sum += m.End(c)
		n++
	}
	if n > 0 {
		e.Perplexity = math.Exp(-sum / float64(n))
	}
	return e
}

// quantize gives a logarithm in steps.
func quantize(log float64) int16 {
	return int16(max(math.MinInt16, min(math.MaxInt16, math.Round(log*scale))))
}
