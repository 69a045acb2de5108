package ngram

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// grown is a tree of n-grams of random text.
func grown(t *testing.T, sentences int, o Options) *tree {
	t.Helper()
	c, err := NewCorpus(Words)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range randomText(sentences) {
		c.Add(s)
	}
	vocabulary := vocabularyOf([]Part{{c, 1}}, o.MaxUnits)
	made, err := estimate(c.text, len(vocabulary), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// without is a copy of a tree with one node less, and its context weighed again.
func (t *tree) without(x uint32) *tree {
	c := &tree{prob: append([]float32(nil), t.prob...), backoff: append([]float32(nil), t.backoff...), share: append([]float32(nil), t.share...)}
	c.nodes = nodes{
		word: append([]uint32(nil), t.word...), first: append([]uint32(nil), t.first...),
		level: append([]int(nil), t.level...), suffix: append([]uint32(nil), t.suffix...),
	}
	c.keep(func(n uint32) bool { return n != x })
	c.weigh()
	return c
}

// Stolcke 1998, equation 2: the divergence of the models' distributions after the
// context, over the whole vocabulary, times how often the context occurs.
func TestLossIsTheDivergence(t *testing.T) {
	for _, o := range []Options{{Order: 2}, {Order: 3}, {Order: 3, Plain: true}, {Order: 3, Prune: []int{0, 1}}} {
		whole := grown(t, 40, o)
		tried := 0
		for n := uint32(1); n < uint32(whole.level[whole.order()]); n++ {
			for x := whole.first[n]; x < whole.first[n+1]; x++ {
				if whole.first[x] != whole.first[x+1] {
					continue // it begins longer ones
				}
				here, below := whole.held(n)
				got := whole.loss(n, x, here, below)
				less := whole.without(x)
				want := 0.0
				// The context has the same place: only what lies behind it moved.
				for id := range uint32(whole.level[2] - whole.level[1]) {
					if id != begin {
						_, p := whole.score(n, id)
						_, q := less.score(n, id)
						want += float64(whole.share[n]) * math.Exp(p) * (p - q)
					}
				}
				if math.Abs(got-want) > 1e-5 {
					t.Fatalf("%+v: n-gram %d: %v, the divergence is %v", o, x, got, want)
				}
				tried++
			}
		}
		if tried < 20 {
			t.Errorf("%+v: only %d n-grams were tried", o, tried)
		}
	}
}

// What is left are distributions, every n-gram has its begin, and a higher threshold
// leaves less and foretells worse.
func TestPruneEntropy(t *testing.T) {
	text := randomText(200)
	before, worth := math.MaxInt, 0.0
	for _, threshold := range []float64{0, 1e-5, 1e-4, 1e-3, 1e-2} {
		m, err := Train(text, Options{Order: 3, PruneEntropy: threshold, Plain: true})
		if err != nil {
			t.Fatal(err)
		}
		for h, s := range sums(m) {
			if math.Abs(s-1) > 0.003 {
				t.Errorf("%v: after %q the probabilities sum to %v", threshold, h, s)
			}
		}
		n := 0
		for _, k := range m.Counts() {
			n += k
		}
		e := m.Evaluate(text)
		if n > before || e.Perplexity < worth-1e-3 {
			t.Errorf("%v: %d n-grams of perplexity %v, before %d of %v", threshold, n, e.Perplexity, before, worth)
		}
		before, worth = n, e.Perplexity
	}
	if before > 60 {
		t.Errorf("%d n-grams left", before)
	}
}

// A mixture's probability is the sum of those of its parts' models for every n-gram
// that one of them has, times the parts' weights and how often the context, and a
// little more, occurs in them.
func TestMixture(t *testing.T) {
	texts := [][]string{randomText(60), {"h g f", "x a b", "a h h h", "x x x"}, {"c"}}
	weights := []float64{3, 1, 0.5}
	for _, order := range []int{1, 2, 3} {
		var parts []Part
		for i, text := range texts {
			c, err := NewCorpus(Words)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range text {
				c.Add(s)
			}
			parts = append(parts, Part{c, weights[i]})
		}
		vocabulary := vocabularyOf(parts, 0)
		var trees []*tree
		for _, p := range parts {
			one, err := estimate(p.Text.text, len(vocabulary), Options{Order: order, Prune: []int{0, 1}})
			if err != nil {
				t.Fatal(err)
			}
			trees = append(trees, one)
		}
		all := mix(trees, []float64{3 / 4.5, 1 / 4.5, 0.5 / 4.5})
		// occurs is the share of a text that begins with a context.
		occurs := func(text []string, context []uint32) float64 {
			var names []string
			for _, id := range context {
				names = append(names, vocabulary[id])
			}
			n, all := 0, 0
			for _, s := range text {
				line := strings.Fields("<s> " + s + " </s>")
				for i := range line {
					all++
					if rest := line[i:]; len(rest) >= len(names) && slices.Equal(rest[:len(names)], names) {
						n++
					}
				}
			}
			return float64(n) / float64(all)
		}
		tried := 0
		var visit func(n uint32, context, at []uint32)
		visit = func(n uint32, context, at []uint32) {
			for x := all.first[n]; x < all.first[n+1]; x++ {
				next, want, sum := make([]uint32, len(trees)), 0.0, 0.0
				for i, one := range trees {
					var p float64
					next[i], p = one.score(at[i], all.word[x])
					w := weights[i] * (occurs(texts[i], context) + rarely)
					want += w * math.Exp(p)
					sum += w
				}
				if got := math.Exp(float64(all.prob[x])); math.Abs(got-want/sum) > 1e-5 {
					t.Fatalf("order %d: after %v: %v, the parts give %v", order, context, got, want/sum)
				}
				tried++
				visit(x, append(context[:len(context):len(context)], all.word[x]), next)
			}
		}
		visit(0, nil, make([]uint32, len(trees)))
		if tried != len(all.word)-1 || order == 3 && tried < 60 {
			t.Errorf("order %d: %d n-grams of %d", order, tried, len(all.word)-1)
		}
		for h, s := range sums(all.model(false, vocabulary)) {
			if math.Abs(s-1) > 0.003 {
				t.Errorf("order %d: after %q the probabilities sum to %v", order, h, s)
			}
		}
	}
}

// Windows are in the order of their units.
func TestWindowsAreSorted(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var text []uint32
	for range 50 {
		text = append(text, begin)
		for range rng.IntN(6) {
			text = append(text, specials+uint32(rng.IntN(4)))
		}
		text = append(text, end)
	}
	window := func(p uint32, length int) string {
		var b strings.Builder
		for i := range length {
			u := unitAt(text, p, i)
			b.WriteByte(byte('0' + u))
			if u == 0 {
				break
			}
		}
		return b.String()
	}
	for length := 1; length < 6; length++ {
		at := windows(text, specials+4, length)
		if len(at) != len(text) {
			t.Fatalf("%d places of %d", len(at), len(text))
		}
		for i := 1; i < len(at); i++ {
			a, b := window(at[i-1], length), window(at[i], length)
			if a > b || a == b && at[i-1] > at[i] {
				t.Fatalf("length %d: %q before %q", length, a, b)
			}
		}
	}
}

// Rounding gives at most 256 values, in the same order, each near its own.
func TestCompact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 200, 5000} {
		v := make([]int16, n)
		for i := range v {
			v[i] = int16(rng.NormFloat64() * 4000)
			if i%7 == 0 {
				v[i] = 0
			}
		}
		was := append([]int16(nil), v...)
		roundTo(v, tableSize)
		if k := len(distinct(v)); k > tableSize || n <= tableSize && k != len(distinct(was)) {
			t.Errorf("%d values: %d are left", n, k)
		}
		sum := 0.0
		for i := range v {
			sum += math.Abs(float64(v[i]) - float64(was[i]))
			for j := range i {
				if was[i] < was[j] && v[i] > v[j] {
					t.Fatalf("%d < %d became %d > %d", was[i], was[j], v[i], v[j])
				}
			}
			if i > 300 {
				break
			}
		}
		if sum > 60*float64(n) {
			t.Errorf("%d values: an error of %v each", n, sum/float64(n))
		}
	}
	m, err := Train(randomText(300), Options{Order: 3, Bits: 4})
	if err != nil {
		t.Fatal(err)
	}
	for k := range m.Order() {
		lo, hi := m.level[k+1], m.level[k+2]
		if p, b := len(distinct(m.prob[lo:hi])), len(distinct(m.backoff[lo:hi])); p > 16 || b > 16 {
			t.Errorf("length %d: %d and %d values in 4 bits", k+1, p, b)
		}
	}
	whole, err := Train(randomText(300), Options{Order: 3})
	if err != nil {
		t.Fatal(err)
	}
	a, b := m.Evaluate(randomText(300)), whole.Evaluate(randomText(300))
	if math.Abs(a.Perplexity-b.Perplexity) > 0.05*b.Perplexity {
		t.Errorf("perplexity %v, %v without rounding", a.Perplexity, b.Perplexity)
	}
}
