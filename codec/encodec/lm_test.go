package encodec

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/published/fixture"
	"github.com/sotto-audio/sotto/internal/weights"
)

func languageModel(t testing.TB, m *Model) *LanguageModel {
	t.Helper()
	lm, err := LoadLanguageModel("testdata/lm.th", m)
	if err != nil {
		t.Fatal(err)
	}
	return lm
}

// The probabilities are the original's, also where the past is longer than what
// attention sees. The frequencies cover the coder's range.
func TestProbabilities(t *testing.T) {
	source, closer, err := weights.Open("testdata/lm.fixture.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	codes, err := source.Tensor("codes")
	if err != nil {
		t.Fatal(err)
	}
	want, err := source.Tensor("probabilities")
	if err != nil {
		t.Fatal(err)
	}
	lm := languageModel(t, load(t, "testdata/small.th"))
	lm.past = 5
	st := lm.start()
	books, card := want.Shape[1], want.Shape[2]
	var before []int32
	for f := range want.Shape[0] {
		cdf := st.next(before, books)
		for k := range books {
			c := cdf(k)
			var sum float32
			for _, e := range st.probability {
				sum += e
			}
			last := int64(0)
			for i := range card {
				p, q := st.probability[i]/sum, want.Data[(f*books+k)*card+i]
				if math.Abs(float64(p-q)) > 1e-5*float64(q)+1e-8 {
					t.Fatalf("frame %d codebook %d code %d: %g, the original gives %g", f, k, i, p, q)
				}
				if c[i]-last < 2 {
					t.Fatalf("a frequency of %d", c[i]-last)
				}
				last = c[i]
			}
			if last > 1<<rangeBits || last < 1<<rangeBits-2*int64(card) {
				t.Errorf("all frequencies are %d", last)
			}
		}
		before = before[:0]
		for k := range books {
			before = append(before, int32(codes.Data[f*books+k]))
		}
	}
}

// What a language model coded comes back, likely or not.
func TestOwnRoundTrip(t *testing.T) {
	m := load(t, "testdata/stereo.th")
	lm := languageModel(t, m)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		// Segments of 300 frames start 297 frames after each other.
		frames, samples := []int{300, 43}, int64(297*160+43*160-77)
		var segments []Segment
		for _, n := range frames {
			s := Segment{Tokens: codec.Tokens{Frames: n, Codebooks: 4}, Scale: rng.Float32() + 0.1}
			for range n * 4 {
				s.Codes = append(s.Codes, rng.Int32N(64))
			}
			segments = append(segments, s)
		}
		var file bytes.Buffer
		if err := m.WriteECDCWith(&file, samples, segments, lm); err != nil {
			t.Fatal(err)
		}
		whole := slices.Clone(file.Bytes())
		h, err := ReadHeader(&file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.ReadECDC(bytes.NewReader(file.Bytes()), h); err == nil {
			t.Error("read without the language model")
		}
		got, err := m.ReadECDCWith(&file, h, lm)
		if err != nil {
			t.Fatal(err)
		}
		for i := range segments {
			if !slices.Equal(got[i].Codes, segments[i].Codes) || got[i].Scale != segments[i].Scale {
				t.Fatalf("segment %d comes back differently", i)
			}
		}
		// A changed bit shows or gives other codes; it never hangs or panics.
		for range 5 {
			bad := slices.Clone(whole)
			bad[60+rng.IntN(len(bad)-60)] ^= 1 << rng.IntN(8)
			r := bytes.NewReader(bad)
			if h, err := ReadHeader(r); err == nil {
				m.ReadECDCWith(r, h, lm)
			}
		}
	}
}

// Files of the original decode where its rounding changes no frequency, which a
// model that is very sure of itself sees to, and are written again with the same
// bytes. Other files lose step, which is reported.
func TestOriginalLanguageModelFiles(t *testing.T) {
	for _, name := range []string{"small", "stereo"} {
		m := load(t, "testdata/"+name+".th")
		lm := languageModel(t, m)
		clip := fixture.Read(t, "testdata/"+name+".fixture.safetensors")[0]
		read := func(kind string) ([]byte, Header, []Segment, error) {
			file, err := os.ReadFile("testdata/" + name + kind + ".ecdc")
			if err != nil {
				t.Fatal(err)
			}
			r := bytes.NewReader(file)
			h, err := ReadHeader(r)
			if err != nil {
				t.Fatal(err)
			}
			segments, err := m.ReadECDCWith(r, h, lm)
			return file, h, segments, err
		}
		if _, _, _, err := read(".lm"); !errors.Is(err, errStep) {
			t.Errorf("%s: a file that loses step: %v", name, err)
		}
		for _, l := range lm.logits {
			for _, p := range l.Params() {
				for i := range p.Data {
					p.Data[i] *= 100000
				}
				p.Changed()
			}
		}
		file, h, segments, err := read(".sharp")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var codes []int32
		for _, s := range segments {
			codes = append(codes, s.Codes...)
		}
		if !slices.Equal(codes, clip.Codes) {
			t.Errorf("%s: other codes than the original's", name)
		}
		var again bytes.Buffer
		if err := m.WriteECDCWith(&again, h.Samples, segments, lm); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), file) {
			t.Errorf("%s: written again, the file has other bytes", name)
		}
	}
}
