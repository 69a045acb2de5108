package quality

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sotto-audio/sotto/codec/sotto"
)

// TestPrecision holds what a reduced decoder of the embedded model loses against
// float32, in extended STOI on speakers that training never heard, to half of what
// it may: 0.005 in int8, 0.002 in bfloat16.
func TestPrecision(t *testing.T) {
	root := os.Getenv("SOTTO_DATA")
	if root == "" {
		t.Skip("SOTTO_DATA is not set: the quality of reduced precision is not measured")
	}
	if testing.Short() {
		t.Skip("short: the quality of reduced precision is not measured")
	}
	clips, err := ReadManifest(filepath.Join(root, "speech", "manifest.tsv"), "valid", "librispeech")
	if err != nil {
		t.Fatal(err)
	}
	measure := func(p sotto.Precision) *Report {
		model, err := sotto.Default(sotto.WithPrecision(p))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Evaluate(t.Context(), model, clips, 6, runtime.GOMAXPROCS(0), func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	full := measure(sotto.Float32)
	for p, most := range map[sotto.Precision]float64{sotto.BFloat16: 0.001, sotto.Int8: 0.0025} {
		r := measure(p)
		for _, step := range r.Steps {
			loss := full.ESTOI[step] - r.ESTOI[step]
			t.Logf("%s at step %s: ESTOI %.4f, loss %.5f", p, step, r.ESTOI[step], loss)
			if !(loss <= most) {
				t.Errorf("%s at step %s (kbit/s) loses %.4f ESTOI, more than %.4f", p, step, loss, most)
			}
		}
		if r.ESTOI["1"] == full.ESTOI["1"] && r.Mel["1"] == full.Mel["1"] {
			t.Errorf("%s gives the figures of float32", p)
		}
	}
}
