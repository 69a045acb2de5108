package quality

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/codec/sotto"
)

// TestReleasedModel holds the embedded model to the floors of its release, on
// speakers that training never heard: extended STOI at 1 and 3 kbit/s, quality
// that rises with every level, and codebooks that are used.
func TestReleasedModel(t *testing.T) {
	root := os.Getenv("SOTTO_DATA")
	if root == "" {
		t.Skip("SOTTO_DATA is not set: the quality of the embedded model is not measured")
	}
	if testing.Short() {
		t.Skip("short: the quality of the embedded model is not measured")
	}
	clips, err := ReadManifest(filepath.Join(root, "speech", "manifest.tsv"), "valid", "librispeech")
	if err != nil {
		t.Fatal(err)
	}
	model, err := sotto.Default()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Evaluate(t.Context(), model, clips, 6, runtime.GOMAXPROCS(0), func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range r.Steps {
		t.Logf("%s: ESTOI %.4f, mel distance %.4f, SI-SDR %.2f dB", step, r.ESTOI[step], r.Mel[step], r.SISDR[step])
		if i > 0 && (r.ESTOI[step] <= r.ESTOI[r.Steps[i-1]] || r.Mel[step] >= r.Mel[r.Steps[i-1]]) {
			t.Errorf("%s is no better than %s", step, r.Steps[i-1])
		}
	}
	for step, floor := range map[string]float64{"1": 0.50, "3": 0.65} {
		if !(r.ESTOI[step] >= floor) {
			t.Errorf("ESTOI at %s kbit/s is %.4f, below %.2f", step, r.ESTOI[step], floor)
		}
	}
	for i, b := range r.Codebooks {
		t.Logf("codebook %d: %.1f %% of %d entries used, %.2f bits", i, 100*b.Used, b.Size, b.Entropy)
		if !(b.Used >= 0.8) {
			t.Errorf("codebook %d uses %.1f %% of its entries, below 80 %%", i, 100*b.Used)
		}
	}
}

const table = "path\tseconds\tsplit\n" +
	"one/a.flac\t1\tvalid\n" +
	"one/b.flac\t2\ttrain\n" +
	"two/c.flac\t3\tvalid\n"

func TestReadManifest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.tsv")
	if err := os.WriteFile(path, []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		split, source string
		want          []string
	}{
		{"", "", []string{"one/a.flac", "one/b.flac", "two/c.flac"}},
		{"valid", "", []string{"one/a.flac", "two/c.flac"}},
		{"valid", "one", []string{"one/a.flac"}},
	} {
		got, err := ReadManifest(path, c.split, c.source)
		for i := range got {
			got[i], _ = filepath.Rel(filepath.Dir(path), got[i])
			got[i] = filepath.ToSlash(got[i])
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("split %q, source %q: %v, %v, want %v", c.split, c.source, got, err, c.want)
		}
	}
	if _, err := ReadManifest(path, "test", ""); err == nil || !strings.Contains(err.Error(), `split "test"`) {
		t.Errorf("a split without rows: %v", err)
	}
}
