package ngram

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
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
}

// maxOrder bounds the length of n-grams, also in files.
const maxOrder = 20

// entry is an n-gram on the way into a model.
type entry struct {
	prob, backoff float64 // natural logarithms
}

// key is an n-gram: four bytes a unit, big endian, so that the order of keys is
// that of the nodes.
type key = string

func pack(ids ...uint32) key {
	b := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		b = binary.BigEndian.AppendUint32(b, id)
	}
	return string(b)
}

func lastOf(k key) uint32 { return binary.BigEndian.Uint32([]byte(k[len(k)-4:])) }

// Train makes a model of sentences, whose words are parted by spaces.
func Train(sentences []string, o Options) (*Model, error) {
	if o.Units == "" {
		o.Units = Words
	}
	switch {
	case o.Order < 1 || o.Order > maxOrder:
		return nil, fmt.Errorf("n-grams of %d units: choose 1 to %d", o.Order, maxOrder)
	case o.Units != Words && o.Units != Characters:
		return nil, fmt.Errorf("units are %q: choose %s or %s", o.Units, Words, Characters)
	}
	m := &Model{order: o.Order, characters: o.Units == Characters}
	texts := make([][]string, 0, len(sentences))
	count := map[string]int{}
	for _, s := range sentences {
		if u := m.units(s); len(u) > 0 {
			texts = append(texts, u)
			for _, x := range u {
				count[x]++
			}
		}
	}
	if len(texts) == 0 {
		return nil, errors.New("the text has no words")
	}
	for _, s := range specialNames {
		delete(count, s)
	}
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a, b))
	})
	if o.MaxUnits > 0 && len(names) > o.MaxUnits {
		names = names[:o.MaxUnits]
	}
	m.vocabulary = append(specialNames[:len(specialNames):len(specialNames)], names...)
	m.index()
	levels := m.estimate(texts, o)
	m.build(levels)
	return m, nil
}

// estimate gives the n-grams of each length with their probabilities.
func (m *Model) estimate(texts [][]string, o Options) []map[key]entry {
	counts := m.adjusted(m.count(texts))
	levels := make([]map[key]entry, m.order)
	v := float64(len(m.vocabulary) - 1) // all that can follow: not the begin
	for k, c := range counts {
		d := discounts(c)
		sum, reserved := map[key]float64{}, map[key]float64{}
		for g, n := range c {
			h := g[:len(g)-4]
			sum[h] += float64(n)
			reserved[h] += d[min(n, 3)]
		}
		levels[k] = make(map[key]entry, len(c)+specials)
		for g, n := range c {
			h := g[:len(g)-4]
			below := 1 / v
			if k > 0 {
				below = math.Exp(levels[k-1][g[4:]].prob)
			}
			p := (float64(n) - d[min(n, 3)] + reserved[h]*below) / sum[h]
			levels[k][g] = entry{prob: math.Log(p)}
		}
		if k == 0 {
			for id := range uint32(len(m.vocabulary)) {
				if _, ok := levels[0][pack(id)]; !ok {
					levels[0][pack(id)] = entry{prob: math.Log(reserved[""] / sum[""] / v)}
				}
			}
			levels[0][pack(begin)] = entry{prob: math.Inf(-1)}
		}
	}
	m.prune(levels, counts, o.Prune)
	weigh(levels)
	return levels
}

// count gives how often each n-gram occurs, by length.
func (m *Model) count(texts [][]string) []map[key]int {
	counts := make([]map[key]int, m.order)
	for k := range counts {
		counts[k] = map[key]int{}
	}
	var line []byte
	for _, t := range texts {
		line = binary.BigEndian.AppendUint32(line[:0], begin)
		for _, u := range t {
			line = binary.BigEndian.AppendUint32(line, m.ids[u])
		}
		line = binary.BigEndian.AppendUint32(line, end)
		for to := 4; to <= len(line); to += 4 {
			for k := range counts {
				if from := to - 4*(k+1); from >= 0 {
					counts[k][string(line[from:to])]++
				}
			}
		}
	}
	delete(counts[0], pack(begin)) // it never follows anything
	return counts
}

// adjusted replaces the counts of shorter n-grams by the number of different
// units that go before them, but for those at the begin of a sentence.
func (m *Model) adjusted(raw []map[key]int) []map[key]int {
	out := slices.Clone(raw)
	start := pack(begin)
	for k := range len(raw) - 1 {
		c := map[key]int{}
		for g := range raw[k+1] {
			c[g[4:]]++
		}
		for g, n := range raw[k] {
			if strings.HasPrefix(g, start) {
				c[g] = n
			}
		}
		out[k] = c
	}
	return out
}

// discounts are D1, D2 and D3+ at 1 to 3 (Chen and Goodman 1998, equation 17),
// kept between 0.1 and 0.1 below the count, where little text gives odd ones.
func discounts(c map[key]int) (d [4]float64) {
	var n [5]float64
	for _, x := range c {
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

// prune takes rare n-grams out, but for the begins of those that stay.
func (m *Model) prune(levels []map[key]entry, counts []map[key]int, limits []int) {
	if len(limits) == 0 {
		return
	}
	needed := map[key]bool{}
	for k := len(levels) - 1; k > 0; k-- {
		limit := limits[min(k-1, len(limits)-1)]
		above := needed
		needed = map[key]bool{}
		for g := range levels[k] {
			if counts[k][g] <= limit && !above[g] {
				delete(levels[k], g)
				continue
			}
			needed[g[:len(g)-4]] = true
		}
	}
}

// weigh gives each context the weight of what it does not hold, so that its
// probabilities sum to one.
func weigh(levels []map[key]entry) {
	for k := 1; k < len(levels); k++ {
		here, below := map[key]float64{}, map[key]float64{}
		for g, e := range levels[k] {
			h := g[:len(g)-4]
			here[h] += math.Exp(e.prob)
			below[h] += math.Exp(backed(levels, g[4:]))
		}
		for h := range here {
			e := levels[k-1][h]
			e.backoff = math.Log(max(1-here[h], 1e-7)) - math.Log(max(1-below[h], 1e-7))
			levels[k-1][h] = e
		}
	}
}

// backed is the log-probability of the last unit of an n-gram after the others,
// from n-grams that are there.
func backed(levels []map[key]entry, g key) float64 {
	k := len(g)/4 - 1
	if e, ok := levels[k][g]; ok {
		return e.prob
	}
	if k == 0 {
		return math.Inf(-1)
	}
	return levels[k-1][g[:len(g)-4]].backoff + backed(levels, g[4:])
}

// build lays n-grams out as nodes.
func (m *Model) build(levels []map[key]entry) {
	m.word, m.prob, m.backoff, m.first = []uint32{0}, []int16{0}, []int16{0}, nil
	m.level = []int{0, 1}
	parents := []key{""}
	for k := range levels {
		keys := slices.Sorted(maps.Keys(levels[k]))
		i := 0
		for _, p := range parents {
			m.first = append(m.first, uint32(len(m.word)+i))
			for i < len(keys) && keys[i][:4*k] == p {
				i++
			}
		}
		for _, g := range keys {
			e := levels[k][g]
			m.word = append(m.word, lastOf(g))
			m.prob = append(m.prob, quantize(e.prob))
			m.backoff = append(m.backoff, quantize(e.backoff))
		}
		m.level = append(m.level, len(m.word))
		parents = keys
	}
	for len(m.first) <= len(m.word) {
		m.first = append(m.first, uint32(len(m.word)))
	}
	m.link()
}
