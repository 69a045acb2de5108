package sotto

import (
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/metrics"
)

// decodeLossy decodes with every lost frame concealed by one of the ways.
func decodeLossy(t *testing.T, m *Model, tokens *codec.Tokens, lost []bool, way string) []float32 {
	t.Helper()
	d := must(m.NewDecoder(tokens.Codebooks))
	var out []float32
	var err error
	for i := 0; i < tokens.Frames; {
		n := 0
		for i+n < tokens.Frames && lost[i+n] {
			n++
		}
		switch {
		case n == 0:
			out, err = d.Decode(out, tokens.Frame(i))
			i++
			n = 0
		case way == "repeat":
			for range n {
				out, err = d.Decode(out, tokens.Frame(i-1))
			}
		case way == "bridge" && i+n < tokens.Frames:
			out, err = d.(codec.Bridger).Bridge(out, n, tokens.Frame(i+n))
		default:
			out, err = d.Conceal(out, n)
		}
		if err != nil {
			t.Fatal(err)
		}
		i += n
	}
	out, err = d.Flush(out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestConcealment: every fifth frame lost, concealment is more intelligible than a
// repetition, and a bridge to the frame after the gap more than concealment.
func TestConcealment(t *testing.T) {
	m := must(Default())
	pcm := clip(t, 0, 5)
	tokens, err := m.Encode(t.Context(), pcm, 0)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	lost := make([]bool, tokens.Frames)
	for i := 4; i < len(lost); i++ {
		lost[i] = rng.IntN(5) == 0
	}
	score := map[string]float64{}
	for _, way := range []string{"repeat", "conceal", "bridge"} {
		out := decodeLossy(t, m, tokens, lost, way)
		if len(out) != tokens.Frames*m.Info().HopLength {
			t.Fatalf("%s: %d samples of %d frames", way, len(out), tokens.Frames)
		}
		if score[way], err = metrics.ESTOI(pcm, out[:len(pcm)], 16000); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ESTOI with a fifth of the frames lost: %v", score)
	if score["conceal"] < score["repeat"] || score["bridge"] < score["conceal"]+0.005 {
		t.Errorf("ESTOI %v", score)
	}
}

// TestLongGap falls silent and ends without a click.
func TestLongGap(t *testing.T) {
	m := must(Default())
	pcm := clip(t, 0, 3)
	tokens, err := m.Encode(t.Context(), pcm, 0)
	if err != nil {
		t.Fatal(err)
	}
	lost := make([]bool, tokens.Frames)
	for i := 50; i < 100; i++ {
		lost[i] = true
	}
	out := decodeLossy(t, m, tokens, lost, "conceal")
	if got := rms(out[70*320 : 98*320]); got > -120 {
		t.Errorf("after 400 ms of loss there are %.0f dB", got)
	}
	whole := decodeLossy(t, m, tokens, make([]bool, tokens.Frames), "")
	if a, b := rms(out[105*320:]), rms(whole[105*320:]); a < b-1 || a > b+1 {
		t.Errorf("after the gap there are %.1f dB, not %.1f", a, b)
	}
}

// TestScalable: a stream whose number of codebooks changes goes on; frames of one
// number give the bits of a decoder for that number.
func TestScalable(t *testing.T) {
	m := smallModel(t)
	all := must(m.Encode(t.Context(), voice(16000, 1), 0))
	d := must(m.NewDecoder(8))
	s := d.(codec.Scalable)
	want := must(m.NewDecoder(4))
	var a, b []float32
	if err := s.SetCodebooks(4); err != nil {
		t.Fatal(err)
	}
	for i := range all.Frames {
		f := all.Frame(i)[:4]
		a, b = must(d.Decode(a, f)), must(want.Decode(b, f))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("sample %d differs", i)
		}
	}
	for _, n := range []int{2, 8, 6} {
		if err := s.SetCodebooks(n); err != nil {
			t.Fatal(err)
		}
		got := must(d.Decode(nil, all.Frame(0)[:n]))
		if len(got) != 320 {
			t.Errorf("%d codebooks: %d samples", n, len(got))
		}
	}
	for _, n := range []int{-2, 0, 3, 10} {
		if s.SetCodebooks(n) == nil {
			t.Errorf("%d codebooks are taken", n)
		}
	}
}
