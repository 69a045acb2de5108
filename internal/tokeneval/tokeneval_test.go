package tokeneval

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/codec"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s is %.3f, want %.3f ± %.3f", what, got, want, within)
	}
}

// Ids without order cost log2 of their number whatever came before; a cycle of
// eight costs 3 bits alone, and nothing once the id before is known.
func TestPerplexityOfKnownSources(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	free := func(n int) (s []int32) {
		for range n {
			s = append(s, rng.Int32N(8))
		}
		return s
	}
	for o, p := range perplexities(8, [][]int32{free(100000)}, [][]int32{free(10000)}) {
		near(t, "bits of free ids", p.Bits, 3, 0.02)
		near(t, "perplexity", p.Value, 8, 0.1)
		if p.Order != o+1 {
			t.Errorf("order %d", p.Order)
		}
	}
	var cycle []int32
	for i := range int32(8000) {
		cycle = append(cycle, i%8)
	}
	p := perplexities(8, [][]int32{cycle}, [][]int32{cycle[:800]})
	near(t, "bits of a cycle by itself", p[0].Bits, 3, 0.01)
	near(t, "bits of a cycle after one id", p[1].Bits, 0, 0.03)
}

// A copy tells all, a copy of the parity one bit, an unrelated code nothing.
func TestInformationOfKnownPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	draw := func(n int, second func(a int32) int32) (p pairs) {
		for range n {
			a := rng.Int32N(16)
			p.add(a, second(a))
		}
		return p
	}
	for name, c := range map[string]struct {
		second func(int32) int32
		want   float64
	}{
		"copy":      {func(a int32) int32 { return a }, 4},
		"parity":    {func(a int32) int32 { return a%2 + 2*rng.Int32N(8) }, 1},
		"unrelated": {func(int32) int32 { return rng.Int32N(16) }, 0},
	} {
		i := information(draw(20000, c.second), draw(20000, c.second), 16)
		near(t, name+" by counts", i.Plain, c.want, 0.03)
		near(t, name+" by tables", i.Held, c.want, 0.03)
	}
}

func TestStabilityCounts(t *testing.T) {
	var c tally
	c.add(&codec.Tokens{Codes: []int32{1, 2, 3, 4, 5, 6}, Frames: 3, Codebooks: 2},
		&codec.Tokens{Codes: []int32{1, 2, 9, 4, 5, 9, 7, 7}, Frames: 4, Codebooks: 2})
	s := c.stability("x")
	for q, want := range [][2]float64{{2. / 3, 2. / 3}, {2. / 3, 1. / 3}} {
		near(t, "same", s.Same[q], want[0], 1e-9)
		near(t, "prefix", s.Prefix[q], want[1], 1e-9)
	}
}

// A codebook that depends on speaker or word gives them away; one that does not
// leaves the probe guessing.
func TestProbesFindWhatIsThere(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var all []Recording
	for i := range 400 {
		r := Recording{Speaker: string(rune('a' + i%4)), Text: "always"}
		word := rng.IntN(2)
		if word == 1 {
			r.Text += " Yes,"
		}
		for range 60 {
			r.Codes = append(r.Codes, int32(8*(i%4)+rng.IntN(10)), int32(rng.IntN(40)), int32(16*word+rng.IntN(20)))
		}
		all = append(all, r)
	}
	l := leak(all, []int{40, 40, 40})
	if l.Speaker == nil || l.Content == nil {
		t.Fatal("a probe is missing")
	}
	if s := l.Speaker; s.Classes != 4 || s.Learned != 300 || s.Tested != 100 {
		t.Errorf("%+v", s)
	}
	near(t, "chance", l.Speaker.Chance, 0.25, 1e-9)
	for q, want := range []float64{1, 0.25, 0.25} {
		near(t, "speaker", l.Speaker.Codebook[q], want, 0.15)
	}
	near(t, "speaker of all", l.Speaker.All, 1, 0.02)
	if l.Content.Classes != 1 {
		t.Errorf("%d words: one is in every text, one in half of them", l.Content.Classes)
	}
	for q, want := range []float64{0.5, 0.5, 1} {
		near(t, "word", l.Content.Codebook[q], want, 0.15)
	}
}

func TestArea(t *testing.T) {
	near(t, "area", area([]float64{3, 1}, []float64{2, 1, 0}), (3+1.5)/6, 1e-9)
}
