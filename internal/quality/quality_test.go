package quality

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/codec"
)

func TestReadManifest(t *testing.T) {
	dir := t.TempDir()
	table := filepath.Join(dir, "manifest.tsv")
	write := func(text string) {
		if err := os.WriteFile(table, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const rows = "id\tpath\tsplit\n1\ta/x.flac\ttrain\n2\ta/y.flac\tvalid\n3\tb/z.flac\tvalid\n"
	for _, c := range []struct {
		name, text, split, source string
		want                      []string // nil for an error
	}{
		{"all", rows, "", "", []string{"a/x.flac", "a/y.flac", "b/z.flac"}},
		{"split", rows, "valid", "", []string{"a/y.flac", "b/z.flac"}},
		{"split and source", rows, "valid", "b", []string{"b/z.flac"}},
		{"no such split", rows, "test", "", nil},
		{"no columns", "1\ta/x.flac\n", "", "", nil},
		{"no split column", "path\na/x.flac\n", "valid", "", nil},
		{"short row", "id\tpath\tsplit\n1\n", "", "", nil},
		{"empty", "", "", "", nil},
	} {
		write(c.text)
		got, err := ReadManifest(table, c.split, c.source)
		for i, p := range got {
			rel, _ := filepath.Rel(dir, p)
			got[i] = filepath.ToSlash(rel)
		}
		if !slices.Equal(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), table) {
			t.Errorf("%s: the error %q does not name the table", c.name, err)
		}
	}
}

// lossless is a codec of two codebooks, the high and the low byte of a 16-bit
// sample, in frames of one sample.
type lossless struct{ codec.Codec }

func (lossless) Info() codec.Info {
	return codec.Info{
		Name: "lossless", SampleRate: 16000, HopLength: 1, CodebookSizes: []int{256, 256},
		Levels: []int{1, 2}, Bitrates: []float64{128e3, 256e3},
	}
}

func (lossless) Encode(_ context.Context, pcm []float32, _ int) (*codec.Tokens, error) {
	t := &codec.Tokens{Frames: len(pcm), Codebooks: 2}
	for _, v := range pcm {
		n := int32(math.Round(float64(v)*32768)) + 32768
		t.Codes = append(t.Codes, n>>8, n&255)
	}
	return t, nil
}

func (lossless) Decode(_ context.Context, t *codec.Tokens) ([]float32, error) {
	var pcm []float32
	for i := range t.Frames {
		n := t.Frame(i)[0] << 8
		if t.Codebooks == 2 {
			n |= t.Frame(i)[1]
		}
		pcm = append(pcm, float32(n-32768)/32768)
	}
	return pcm, nil
}

func TestEvaluate(t *testing.T) {
	clip := filepath.FromSlash("../../samples/speech.wav")
	r, err := Evaluate(t.Context(), lossless{}, []string{clip, clip}, 2, 0, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if r.Clips != 2 || r.Seconds != 4 || !slices.Equal(r.Steps, []string{"128", "256"}) {
		t.Errorf("%d clips, %g s, steps %v", r.Clips, r.Seconds, r.Steps)
	}
	if math.Abs(r.ESTOI["256"]-1) > 1e-9 || r.Mel["256"] != 0 || r.SISDR["256"] != 200 {
		t.Errorf("equal signals: ESTOI %g, mel distance %g, SI-SDR %g", r.ESTOI["256"], r.Mel["256"], r.SISDR["256"])
	}
	if r.ESTOI["128"] >= 1 || r.Mel["128"] <= 0 || r.SISDR["128"] >= 60 {
		t.Errorf("8 bits: ESTOI %g, mel distance %g, SI-SDR %g", r.ESTOI["128"], r.Mel["128"], r.SISDR["128"])
	}
	if len(r.Codebooks) != 2 || r.Codebooks[0].Entropy >= r.Codebooks[1].Entropy || r.Codebooks[1].Used > 1 {
		t.Errorf("codebooks %+v", r.Codebooks)
	}
	if _, err := Evaluate(t.Context(), lossless{}, []string{"missing.wav"}, 0, 1, func(int64) {}); err == nil || !strings.Contains(err.Error(), "missing.wav") {
		t.Errorf("a missing file: %v", err)
	}
}
