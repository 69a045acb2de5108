package ngram

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/ctc"
)

// randomText is skewed, so that all kinds of counts occur.
func randomText(n int) (out []string) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("a b c d e f g h")
	for range n {
		var s []string
		at := 0
		for range 1 + rng.IntN(6) {
			if rng.IntN(3) > 0 {
				at = (at*3 + 1) % 5
			} else {
				at = rng.IntN(len(words))
			}
			s = append(s, words[at])
		}
		out = append(out, strings.Join(s, " "))
	}
	return out
}

// naive evaluates the definition of Chen and Goodman 1998, equations 17 to 24,
// straight from the text.
type naive struct {
	lines [][]string
	order int
	vocab float64
}

// occurs gives all n-grams of length k, joined, with their adjusted counts.
func (n naive) adjusted(k int) map[string]float64 {
	raw := func(k int) map[string]float64 {
		c := map[string]float64{}
		for _, l := range n.lines {
			for i := 0; i+k <= len(l); i++ {
				c[strings.Join(l[i:i+k], " ")]++
			}
		}
		return c
	}
	if k == n.order {
		c := raw(k)
		delete(c, "<s>")
		return c
	}
	c := map[string]float64{}
	for g := range raw(k + 1) {
		_, rest, _ := strings.Cut(g, " ")
		c[rest]++
	}
	for g, x := range raw(k) {
		if strings.HasPrefix(g, "<s> ") {
			c[g] = x
		}
	}
	return c
}

func (n naive) prob(h []string, w string) float64 {
	k := len(h) + 1
	c := n.adjusted(k)
	var t [5]float64
	for _, x := range c {
		if x <= 4 {
			t[int(x)]++
		}
	}
	d := func(x float64) float64 {
		if t[1] == 0 || t[2] == 0 {
			return min(x, 0.5)
		}
		y := t[1] / (t[1] + 2*t[2])
		i := min(x, 3)
		if i == 0 {
			return 0
		}
		v := i
		if t[int(i)] > 0 {
			v -= (i + 1) * y * t[int(i)+1] / t[int(i)]
		}
		return max(0.1, min(v, i-0.1))
	}
	below := 1 / n.vocab
	if k > 1 {
		below = n.prob(h[1:], w)
	}
	sum, reserved := 0.0, 0.0
	prefix := strings.Join(h, " ")
	for g, x := range c {
		i := strings.LastIndexByte(g, ' ')
		if g[:max(i, 0)] == prefix {
			sum += x
			reserved += d(x)
		}
	}
	if sum == 0 {
		return below
	}
	x := c[strings.TrimSpace(prefix+" "+w)]
	return (x-d(x))/sum + reserved/sum*below
}

func TestEqualsFormula(t *testing.T) {
	for _, size := range []int{2, 8, 60} {
		text := randomText(size)
		for order := 1; order <= 3; order++ {
			m, err := Train(text, Options{Order: order})
			if err != nil {
				t.Fatal(err)
			}
			n := naive{order: order, vocab: float64(m.Vocabulary() + 2)}
			for _, s := range text {
				n.lines = append(n.lines, append(append([]string{"<s>"}, strings.Fields(s)...), "</s>"))
			}
			for _, s := range append(text[:2:2], "h h a b", "a never heard h") {
				c := m.Start()
				h := []string{"<s>"}
				for _, w := range append(strings.Fields(s), "</s>") {
					var got float64
					if w == "</s>" {
						got = m.End(c)
					} else {
						c, got = m.Score(c, w)
					}
					name := w
					if !m.Known(w) && w != "</s>" {
						name = "<unk>"
					}
					want := math.Log(n.prob(h[max(0, len(h)-order+1):], name))
					if math.Abs(got-want) > float64(order)/scale {
						t.Errorf("%d sentences, order %d: log P(%s | %v) = %v, the formula gives %v", size, order, w, h, got, want)
					}
					h = append(h, name)
				}
			}
		}
	}
}

// sums gives the total probability after every context of the model.
func sums(m *Model) map[string]float64 {
	out := map[string]float64{}
	visit := func(ids []uint32, n uint32) {
		var name []string
		for _, id := range ids {
			name = append(name, m.vocabulary[id])
		}
		total := 0.0
		for id := range uint32(len(m.vocabulary)) {
			if id != begin {
				_, p := m.score(ctc.Context(n), id)
				total += math.Exp(p)
			}
		}
		out[strings.Join(name, " ")] = total
	}
	visit(nil, 0)
	for k := 1; k < m.order(); k++ {
		m.walk(0, nil, k, visit)
	}
	return out
}

func TestProbabilitiesSumToOne(t *testing.T) {
	for name, o := range map[string]Options{
		"whole":      {Order: 4},
		"pruned":     {Order: 4, Prune: []int{0, 1, 2}},
		"few words":  {Order: 3, MaxUnits: 3},
		"characters": {Order: 5, Units: Characters, Prune: []int{1}},
		"one":        {Order: 1},
	} {
		m, err := Train(randomText(50), o)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(sums(m)); n < 10 && o.Order > 1 {
			t.Errorf("%s: %d contexts", name, n)
		}
		for h, s := range sums(m) {
			if math.Abs(s-1) > 0.003 {
				t.Errorf("%s: after %q the probabilities sum to %v", name, h, s)
			}
		}
	}
}

func TestPruningKeepsWhatIsFrequent(t *testing.T) {
	text := randomText(200)
	whole, _ := Train(text, Options{Order: 3})
	pruned, err := Train(text, Options{Order: 3, Prune: []int{2}})
	if err != nil {
		t.Fatal(err)
	}
	if w, p := whole.Counts(), pruned.Counts(); p[2] >= w[2] || p[1] >= w[1] || p[0] != w[0] || p[2] == 0 {
		t.Errorf("%v n-grams, %v when pruned", w, p)
	}
	if w, p := whole.Evaluate(text), pruned.Evaluate(text); p.Perplexity < w.Perplexity || p.Perplexity > 1.3*w.Perplexity {
		t.Errorf("perplexity %v, %v when pruned", w.Perplexity, p.Perplexity)
	}
}

func TestPerplexity(t *testing.T) {
	m, err := Train([]string{"a b", "a b", "a c"}, Options{Order: 2})
	if err != nil {
		t.Fatal(err)
	}
	c, a := m.Score(m.Start(), "a")
	c, b := m.Score(c, "b")
	e := m.Evaluate([]string{"a b", ""})
	if want := math.Exp(-(a + b + m.End(c)) / 3); math.Abs(e.Perplexity-want) > 1e-9 || e.Sentences != 1 || e.Units != 2 {
		t.Errorf("%+v, want perplexity %v", e, want)
	}
	if e := m.Evaluate([]string{"a zebra b"}); e.Unknown != 1 || e.Units != 3 {
		t.Errorf("%+v", e)
	}
}

func TestFileRoundTrip(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []Options{{Order: 3}, {Order: 1}, {Order: 4, Units: Characters, Prune: []int{1}}, {Order: 3, Bits: 8}, {Order: 1, Bits: 8}} {
		m, err := Train(randomText(80), o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(m.Bytes())
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v: the file gives another model, or %v", o, err)
		}
		var arpa bytes.Buffer
		if err := m.WriteARPA(&arpa); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "m.arpa")
		if err := os.WriteFile(path, arpa.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		from, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if from.characters != m.characters {
			t.Fatalf("%+v: units changed", o)
		}
		text := randomText(90)
		if a, b := m.Evaluate(text), from.Evaluate(text); math.Abs(a.Perplexity-b.Perplexity) > 1e-3*a.Perplexity || a.Unknown != b.Unknown {
			t.Errorf("%+v: %+v, by way of ARPA %+v", o, a, b)
		}
		b := m.Bytes()
		for i := range b {
			b[i] ^= 4
			if _, err := Parse(b); err == nil {
				t.Fatalf("%+v: byte %d was changed and nothing noticed", o, i)
			}
			b[i] ^= 4
		}
	}
}

// The example of the ARPA format in other toolkits' documentation has no
// back-off weights on its longest n-grams and may leave out some on others.
func TestReadsARPAOfOthers(t *testing.T) {
	const arpa = `
\data\
ngram 1=5
ngram 2=3

\1-grams:
-1.0	<unk>
-99	<s>	-0.3
-0.6	</s>
-0.7	yes	-0.2
-0.8	no

\2-grams:
-0.1	<s> yes
-0.4	yes </s>
-0.9	yes no

\end\
`
	m, err := parseAny([]byte(arpa))
	if err != nil {
		t.Fatal(err)
	}
	c, p := m.Score(m.Start(), "yes")
	near := func(got, want10 float64) {
		t.Helper()
		if math.Abs(got-want10*math.Ln10) > 2.0/scale {
			t.Errorf("%v, want %v", got/math.Ln10, want10)
		}
	}
	near(p, -0.1)
	near(m.End(c), -0.4)
	_, p = m.Score(c, "what")
	near(p, -0.2-1)
	_, p = m.Score(m.Start(), "no")
	near(p, -0.3-0.8)
	for name, bad := range map[string]string{
		"no end":         arpa[:len(arpa)-7],
		"a positive log": strings.Replace(arpa, "-0.8", "0.8", 1),
		"no number":      strings.Replace(arpa, "-0.8", "x", 1),
		"unknown unit":   strings.Replace(arpa, "yes no", "yes maybe", 1),
		"short line":     strings.Replace(arpa, "yes no", "", 1),
		"sections":       strings.Replace(arpa, `\2-grams`, `\3-grams`, 1),
	} {
		if _, err := ParseARPA([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPrefixAndKnown(t *testing.T) {
	m, err := Train([]string{"one oner <s>"}, Options{Order: 1})
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{"o": true, "one": true, "oner": true, "onerr": false, "p": false, "a": false, "": true} {
		if m.Prefix(s) != want {
			t.Errorf("Prefix(%q) = %t", s, !want)
		}
	}
	for s, want := range map[string]bool{"one": true, "on": false, "<s>": false, "<unk>": false} {
		if m.Known(s) != want {
			t.Errorf("Known(%q) = %t", s, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, bits := range []int{0, 8} {
		m, err := Train(randomText(3), Options{Order: 2, Bits: bits})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.Bytes()[len(magic1):len(m.Bytes())-4], bits > 0)
	}
	f.Fuzz(func(t *testing.T, body []byte, tables bool) {
		m, err := parse(body, tables)
		if err != nil {
			return
		}
		e := m.Evaluate([]string{"a b c", "b"})
		if math.IsNaN(e.Perplexity) {
			t.Fatal("no number")
		}
		again, err := Parse(m.Bytes())
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("written and read again: %v", err)
		}
	})
}

func FuzzParseARPA(f *testing.F) {
	m, err := Train([]string{"a b", "b"}, Options{Order: 2})
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if err := m.WriteARPA(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := ParseARPA(text); err == nil {
			m.Evaluate([]string{"a b c", "b"})
			if _, err := Parse(m.Bytes()); err != nil {
				t.Fatalf("what was read cannot be stored: %v", err)
			}
		}
	})
}
