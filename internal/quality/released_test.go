package quality

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sotto-audio/sotto/codec/sotto"
)

// TestReleasedModel holds the embedded model to the floors of its release, on
// speakers that training never heard: extended STOI at 1 and 3 kbit/s, quality
// that rises with every level, the original's loudness, and codebooks that are used.
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
		// The mel distance compares levels: without quantization the loss weighs the
		// waveform ten times as much, at its cost.
		worse := i > 0 && (r.ESTOI[step] <= r.ESTOI[r.Steps[i-1]] || r.SISDR[step] <= r.SISDR[r.Steps[i-1]])
		if worse || i > 0 && step != Unquantized && r.Mel[step] >= r.Mel[r.Steps[i-1]] {
			t.Errorf("%s is no better than %s", step, r.Steps[i-1])
		}
	}
	for step, floor := range map[string]float64{"0.5": 0.60, "1": 0.70, "3": 0.82, "4": 0.84, Unquantized: 0.88} {
		if !(r.ESTOI[step] >= floor) {
			t.Errorf("ESTOI at step %s (kbit/s) is %.4f, below %.2f", step, r.ESTOI[step], floor)
		}
	}
	for _, step := range r.Steps {
		t.Logf("%s: loudness ± %.2f LU", step, r.Loudness[step])
		most := 0.6
		if step == "0.5" || step == Unquantized {
			most = 1.2
		}
		if !(r.Loudness[step] <= most) {
			t.Errorf("loudness at %s kbit/s differs by %.2f LU, more than %.1f", step, r.Loudness[step], most)
		}
	}
	for i, b := range r.Codebooks {
		t.Logf("codebook %d: %.1f %% of %d entries used, %.2f bits", i, 100*b.Used, b.Size, b.Entropy)
		if !(b.Used >= 0.9) {
			t.Errorf("codebook %d uses %.1f %% of its entries, below 90 %%", i, 100*b.Used)
		}
	}
}
