package ctc

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
)

const period = 40 * time.Millisecond

// never commits before the end.
func never(c Config) Config {
	c.Agreement, c.MaxDelay, c.Gap, c.Pause = 2, time.Hour, time.Hour, time.Hour
	return c
}

func newDecoder(t testing.TB, c Config) *Decoder {
	t.Helper()
	c.Period = period
	d, err := NewDecoder(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// randomRows are log-softmax values.
func randomRows(rng *rand.Rand, n, w int, sharp float64) []float32 {
	out := make([]float32, 0, n*w)
	for range n {
		row := make([]float64, w)
		var sum float64
		for i := range row {
			row[i] = math.Exp(sharp * rng.NormFloat64())
			sum += row[i]
		}
		for _, v := range row {
			out = append(out, float32(math.Log(v/sum)))
		}
	}
	return out
}

// words is what a path says: repeats and blanks removed, words parted by spaces.
func collapse(path []int, symbols string) string {
	var b strings.Builder
	last := 0
	for _, c := range path {
		if c != 0 && c != last {
			b.WriteByte(symbols[c-1])
		}
		last = c
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Every path is enumerated: the sum over the paths of a text is its probability.
func marginals(rows []float32, symbols string) map[string]float64 {
	w := len(symbols) + 1
	n := len(rows) / w
	sums := map[string]float64{}
	path := make([]int, n)
	var walk func(t int, p float64)
	walk = func(t int, p float64) {
		if t == n {
			sums[collapse(path, symbols)] += math.Exp(p)
			return
		}
		for c := range w {
			path[t] = c
			walk(t+1, p+float64(rows[t*w+c]))
		}
	}
	walk(0, 0)
	return sums
}

// tiny is a word or character language model with made-up numbers.
type tiny struct{ chars bool }

func (m tiny) Start() Context { return 1 }
func (m tiny) Score(c Context, unit string) (Context, float64) {
	h := int(c) * 31
	for _, r := range unit {
		h = (h*31 + int(r)) % 1009
	}
	return Context(h%50 + 1), -float64(h%7)/3 - 0.1
}
func (m tiny) End(c Context) float64 { return -float64(c%5) / 2 }
func (m tiny) Characters() bool      { return m.chars }
func (m tiny) Known(s string) bool   { return s != "bb" && s != "ba" }
func (m tiny) Prefix(s string) bool  { return !strings.HasPrefix(s, "bb") && s != "ba" }
func (m tiny) score(c Config, text string) float64 {
	ctx, sum := m.Start(), 0.0
	units := strings.Fields(text)
	if m.chars {
		units = strings.Split(text+" ", "")
		if text == "" {
			units = nil
		}
	}
	for _, u := range units {
		var p float64
		ctx, p = m.Score(ctx, u)
		sum += c.Weight*p + c.Bonus
		if !m.chars {
			sum += c.Letter * float64(len(u))
			if !m.Known(u) {
				sum += c.Unknown
			}
		}
	}
	return sum + c.Weight*m.End(ctx)
}

func TestEqualsSumOverAllPaths(t *testing.T) {
	const symbols = " ab"
	rng := rand.New(rand.NewPCG(1, 2))
	for trial := range 60 {
		n := 1 + rng.IntN(7)
		rows := randomRows(rng, n, len(symbols)+1, 0.7)
		sums := marginals(rows, symbols)
		for _, lm := range []*tiny{nil, {false}, {true}} {
			cfg := Config{Symbols: symbols, Beam: 1000, Threshold: 1000, Weight: 0.7, Bonus: 0.4, Letter: 0.25, Unknown: -1.5}
			bestText, best := "", math.Inf(-1)
			score := func(text string) float64 { return math.Log(sums[text]) }
			if lm != nil {
				cfg.LM = lm
				score = func(text string) float64 { return math.Log(sums[text]) + lm.score(cfg, text) }
			}
			for text := range sums {
				if s := score(text); s > best {
					bestText, best = text, s
				}
			}
			d := newDecoder(t, never(cfg))
			if _, err := d.Push(rows, 0); err != nil {
				t.Fatal(err)
			}
			// Probabilities of all prefixes, not only which is best.
			d.endWords(true)
			if len(d.active) != len(sums) {
				t.Fatalf("trial %d: %d hypotheses, %d texts", trial, len(d.active), len(sums))
			}
			finish := func(n *node) float64 {
				if lm == nil {
					return n.total
				}
				return n.total + cfg.Weight*lm.End(n.context)
			}
			first := d.active[0]
			at0 := score(strings.TrimSpace(d.text(first)))
			for _, a := range d.active {
				text := strings.TrimSpace(d.text(a))
				got, want := finish(a)-finish(first), score(text)-at0
				if math.Abs(got-want) > 1e-9 {
					t.Fatalf("trial %d, model %v: %q scores %v, all its paths %v", trial, lm, text, got, want)
				}
			}
			if got := said(d.Flush(0).Committed); got != bestText {
				t.Fatalf("trial %d, model %v: %q, the most probable is %q", trial, lm, got, bestText)
			}
		}
	}
}

func said(words []asr.Word) string {
	var s []string
	for _, w := range words {
		s = append(s, w.Text)
	}
	return strings.Join(s, " ")
}

// peaks makes rows of a network that is sure: "a" is that symbol, "_" blank, and
// a digit before a symbol its probability in tenths (blank has the rest).
func peaks(symbols, s string) []float32 {
	w := len(symbols) + 1
	var out []float32
	p := 0.98
	for _, r := range s {
		if r >= '1' && r <= '9' {
			p = float64(r-'0') / 10
			continue
		}
		row := make([]float32, w)
		for i := range row {
			row[i] = float32(math.Log(1e-5))
		}
		row[0] = float32(math.Log(1 - p))
		if r == '_' {
			row[0] = float32(math.Log(0.99))
		} else {
			row[strings.IndexRune(symbols, r)+1] = float32(math.Log(p))
		}
		out = append(out, row...)
		p = 0.98
	}
	return out
}

const letters = " 'abcdefghijklmnopqrstuvwxyz"

func TestWordsHaveTheirRows(t *testing.T) {
	for _, beam := range []int{1, 8} {
		d := newDecoder(t, Config{Symbols: letters, Beam: beam, Start: time.Second, BeginShift: -10 * time.Millisecond, EndShift: 20 * time.Millisecond})
		rows := peaks(letters, "__h_i__ _th6ere_"+strings.Repeat("_", 30)+"ll_l  b")
		u, err := d.Push(rows, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		last := d.Flush(6 * time.Second)
		got := append(u.Committed, last.Committed...)
		at := func(row int, shift time.Duration) time.Duration {
			return time.Second + time.Duration(row)*period + shift
		}
		geo := func(p ...float64) float64 {
			s := 0.0
			for _, v := range p {
				s += math.Log(v)
			}
			return math.Exp(s / float64(len(p)))
		}
		want := []asr.Word{
			{Text: "hi", Start: at(2, -10*time.Millisecond), End: at(5, 20*time.Millisecond), Confidence: 0.98, Emitted: 5 * time.Second},
			{Text: "there", Start: at(9, -10*time.Millisecond), End: at(14, 20*time.Millisecond), Confidence: geo(.98, .98, .6, .98, .98), Emitted: 5 * time.Second},
			{Text: "ll", Start: at(45, -10*time.Millisecond), End: at(49, 20*time.Millisecond), Confidence: 0.98, Emitted: 5 * time.Second},
			{Text: "b", Start: at(51, -10*time.Millisecond), End: at(52, 0), Confidence: 0.98, Emitted: 6 * time.Second},
		}
		if len(got) != len(want) {
			t.Fatalf("beam %d: %v, want %v", beam, got, want)
		}
		for i := range want {
			if math.Abs(got[i].Confidence-want[i].Confidence) > 1e-6 {
				t.Errorf("beam %d: %s: confidence %v, want %v", beam, want[i].Text, got[i].Confidence, want[i].Confidence)
			}
			got[i].Confidence = want[i].Confidence
			if got[i] != want[i] {
				t.Errorf("beam %d: %+v, want %+v", beam, got[i], want[i])
			}
		}
	}
}

func TestAPauseEndsWordAndUtterance(t *testing.T) {
	d := newDecoder(t, Config{Symbols: letters})
	one := func(s string) asr.Update {
		u, err := d.Push(peaks(letters, s), 0)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	u := one("__go")
	if said(u.Committed) != "" || said(u.Tentative) != "go" {
		t.Errorf("in the word: %+v", u)
	}
	for i := range 19 {
		u = one("_")
		want := ""
		if i == 4 {
			want = "go" // 200 ms
		}
		if said(u.Committed) != want || u.Endpoint {
			t.Errorf("row %d of the pause: %+v", i, u)
		}
	}
	if u = one("_"); !u.Endpoint || len(u.Committed)+len(u.Tentative) != 0 {
		t.Errorf("at 800 ms: %+v", u)
	}
	if u = one(strings.Repeat("_", 100)); u.Endpoint {
		t.Error("a second endpoint without words")
	}
	if len(d.window) > 10 {
		t.Errorf("%d rows kept in silence", len(d.window))
	}
	if u := d.Flush(0); u.Endpoint || len(u.Committed) > 0 {
		t.Errorf("flush after silence: %+v", u)
	}
}

// Uncertain words alone are noise; with more of them, a certain one, or a longer one,
// they are speech.
func TestUncertainWordsBeginNoUtterance(t *testing.T) {
	pause := strings.Repeat("_", 25)
	for rows, want := range map[string]string{
		"__8a__" + pause:                              "",
		"__8a__ 8b__" + pause:                         "",
		"__a__" + pause:                               "a",
		"__8a__ b__" + pause:                          "a b",
		"__8a__ 8b__ 8c__" + pause:                    "a b c",
		"__a__ 8b__" + pause + "8c__" + pause + "d__": "a b d",
		"__8a":               "",
		"__8a8b8c__" + pause: "abc",
	} {
		d := newDecoder(t, Config{Symbols: letters, Opening: 0.9})
		u, err := d.Push(peaks(letters, rows), 0)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(rows, "8a") && said(u.Tentative) != "a" {
			t.Errorf("%q: tentative %v", rows, u.Tentative)
		}
		if got := said(append(u.Committed, d.Flush(0).Committed...)); got != want {
			t.Errorf("%q: %q, want %q", rows, got, want)
		}
	}
}

// What is uncertain for long is speech that is hard to hear.
func TestUncertainWordsAreNotHeldForever(t *testing.T) {
	for n, want := range map[int]int{patience - 1: 0, patience: patience, patience + 1: patience + 1} {
		d := newDecoder(t, Config{Symbols: letters, Opening: 100})
		u, err := d.Push(peaks(letters, strings.Repeat("__6a__ ", n)+strings.Repeat("_", 25)), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(append(u.Committed, d.Flush(0).Committed...)); got != want {
			t.Errorf("%d words: %d came, want %d", n, got, want)
		}
	}
}

// speechLike are rows with words, pauses, doubts and noise.
func speechLike(rng *rand.Rand, n int) []float32 {
	var s strings.Builder
	for s.Len() < n {
		switch k := rng.IntN(20); {
		case k < 1:
			s.WriteString(strings.Repeat("_", rng.IntN(40)))
		case k < 8:
			s.WriteString("_ ")
		case k < 12:
			s.WriteByte(byte('3' + rng.IntN(7)))
			fallthrough
		default:
			c := byte('a' + rng.IntN(26))
			for range 1 + rng.IntN(3) {
				s.WriteByte(c)
			}
			s.WriteString(strings.Repeat("_", rng.IntN(3)))
		}
	}
	rows := peaks(letters, s.String())
	w := len(letters) + 1
	noise := randomRows(rng, len(rows)/w, w, 1.5)
	share := 0.3 * rng.Float64()
	for i := range rows {
		rows[i] = float32(math.Log((1-share)*math.Exp(float64(rows[i])) + share*math.Exp(float64(noise[i]))))
	}
	return rows
}

func TestAnySplitGivesTheSame(t *testing.T) {
	w := len(letters) + 1
	for trial := range 8 {
		rng := rand.New(rand.NewPCG(uint64(trial), 3))
		cfg := Config{Symbols: letters, Beam: []int{1, 4, 16}[trial%3], Opening: 0.5 * float64(trial%2)}
		if trial%2 == 1 {
			cfg.LM, cfg.Weight, cfg.Bonus = tiny{trial%4 == 1}, 0.3, 0.5
		}
		rows := speechLike(rng, 400)
		run := func(split func(left int) int) (all []asr.Word) {
			d := newDecoder(t, cfg)
			for left := rows; len(left) > 0; {
				n := min(len(left), w*split(len(left)/w))
				u, err := d.Push(left[:n], 0)
				if err != nil {
					t.Fatal(err)
				}
				all, left = append(all, u.Committed...), left[n:]
			}
			return append(all, d.Flush(0).Committed...)
		}
		whole := run(func(left int) int { return left })
		if len(whole) < 10 {
			t.Fatalf("trial %d: %d words", trial, len(whole))
		}
		if got := run(func(int) int { return 1 }); !reflect.DeepEqual(got, whole) {
			t.Fatalf("trial %d: row by row differs", trial)
		}
		if got := run(func(int) int { return rng.IntN(30) }); !reflect.DeepEqual(got, whole) {
			t.Fatalf("trial %d: random split differs", trial)
		}
		for i := 1; i < len(whole); i++ {
			if whole[i].Start < whole[i-1].End || whole[i].End < whole[i].Start {
				t.Errorf("trial %d: %+v, then %+v", trial, whole[i-1], whole[i])
			}
		}
		// Growing prefixes: what was committed stays.
		before := 0
		for n := 0; n <= len(rows); n += 23 * w {
			d := newDecoder(t, cfg)
			u, err := d.Push(rows[:n], 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(u.Committed) < before || !reflect.DeepEqual(u.Committed, whole[:len(u.Committed):len(u.Committed)]) && len(u.Committed) > 0 {
				t.Fatalf("trial %d: after %d rows: %v, in the end %v", trial, n/w, u.Committed, whole)
			}
			before = len(u.Committed)
		}
	}
}

func TestStateIsBounded(t *testing.T) {
	w := len(letters) + 1
	d := newDecoder(t, Config{Symbols: letters, Beam: 16, LM: tiny{}, Weight: 0.5, Bonus: 1})
	rng := rand.New(rand.NewPCG(5, 6))
	count := func() (n int) {
		var walk func(*node)
		walk = func(x *node) {
			n++
			for _, c := range x.children {
				if c.parent != x {
					t.Fatal("a child has another parent")
				}
				walk(c)
			}
		}
		walk(d.trie.root)
		return n
	}
	for range 8 {
		for _, rows := range [][]float32{speechLike(rng, 300), randomRows(rng, 300, w, 0.1), peaks(letters, strings.Repeat("ab", 300)), peaks(letters, strings.Repeat("_", 300))} {
			if _, err := d.Push(rows, 0); err != nil {
				t.Fatal(err)
			}
			if len(d.window) > d.rows.window || len(d.free) > d.rows.window+1 || count() > 16*(d.rows.window+2) {
				t.Fatalf("%d rows kept, %d free, %d nodes", len(d.window), len(d.free), count())
			}
		}
	}
	for _, a := range d.active {
		if a.total > 0 || a.total < -DefaultThreshold {
			t.Errorf("a hypothesis of %v", a.total)
		}
	}
}

func TestResetForgets(t *testing.T) {
	cfg := Config{Symbols: letters, LM: tiny{}, Weight: 0.5}
	rows := speechLike(rand.New(rand.NewPCG(7, 8)), 300)
	d := newDecoder(t, cfg)
	first, _ := d.Push(rows, 0)
	end := d.Flush(0)
	d.Reset()
	again, _ := d.Push(rows, 0)
	if !reflect.DeepEqual(first, again) || !reflect.DeepEqual(end, d.Flush(0)) {
		t.Error("a second run differs")
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, c := range map[string]Config{
		"no space":  {Symbols: "ab", Period: period},
		"no period": {Symbols: " ab"},
		"huge beam": {Symbols: " ab", Period: period, Beam: 1 << 30},
	} {
		if _, err := NewDecoder(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	d := newDecoder(t, Config{Symbols: " ab"})
	if _, err := d.Push(make([]float32, 7), 0); err == nil {
		t.Error("part of a row accepted")
	}
}

// Rows that are no probabilities at all give some text, and no panic.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 255, 7}, uint8(4))
	f.Fuzz(func(t *testing.T, raw []byte, beam uint8) {
		d := newDecoder(t, Config{Symbols: " ab", Beam: int(beam)%20 + 1, LM: tiny{}, Weight: 1})
		values := []float32{0, -0.1, -1, -3, -9, -100, float32(math.NaN()), float32(math.Inf(-1)), float32(math.Inf(1)), 5}
		rows := make([]float32, len(raw)/4*4)
		for i := range rows {
			rows[i] = values[int(raw[i])%len(values)]
		}
		u, err := d.Push(rows, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range append(u.Committed, d.Flush(0).Committed...) {
			if w.Text == "" || math.IsNaN(w.Confidence) || w.Confidence < 0 || w.Confidence > 1 || w.End < w.Start {
				t.Fatalf("%+v", w)
			}
		}
	})
}

func BenchmarkPush(b *testing.B) {
	rows := speechLike(rand.New(rand.NewPCG(9, 1)), 2000)
	w := len(letters) + 1
	d := newDecoder(b, Config{Symbols: letters, Beam: 16})
	b.SetBytes(int64(len(rows) / w))
	for b.Loop() {
		for r := 0; r < len(rows); r += 8 * w {
			if _, err := d.Push(rows[r:min(r+8*w, len(rows))], 0); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(rows)/w)*0.04/b.Elapsed().Seconds(), "x-real-time")
}
