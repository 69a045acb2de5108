package quality

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr/sotto"
)

// TestReleasedRecognizer holds the embedded recogniser to what its card promises: of
// AN4's test part, words wrong as it hears them at most 400 ms later and with the whole
// recording heard, and of free speech by three readers that it knows.
func TestReleasedRecognizer(t *testing.T) {
	root := os.Getenv("SOTTO_DATA")
	if root == "" {
		t.Skip("SOTTO_DATA is not set: the embedded recogniser is not measured")
	}
	if testing.Short() {
		t.Skip("short: the embedded recogniser is not measured")
	}
	model, err := sotto.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		split, source string
		offline       bool
		most          float64
	}{
		{"test", "an4", false, 0.075},
		{"test", "an4", true, 0.055},
		{"valid", "ljspeech", false, 0.31},
		{"valid", "kathleen", false, 0.35},
		{"valid", "vctk", false, 0.53},
	} {
		clips, err := ReadTranscripts(filepath.Join(root, "speech", "manifest.tsv"), c.split, c.source)
		if err != nil {
			t.Fatal(err)
		}
		o := RecognizerOptions{Raw: true, Parallel: runtime.GOMAXPROCS(0)}
		o.Offline = c.offline
		r, err := EvaluateRecognizer(t.Context(), model, clips, o, func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		name := c.source + ", streaming"
		if c.offline {
			name = c.source + ", offline"
		}
		t.Logf("%s: %.2f %% of %d words wrong", name, 100*r.WER, r.Words)
		if !(r.WER <= c.most) {
			t.Errorf("%s: %.2f %% of words wrong, more than %.1f", name, 100*r.WER, 100*c.most)
		}
		if latency, err := model.Latency(o.Options); err != nil || !c.offline && latency > 400*time.Millisecond {
			t.Errorf("%s: latency %v, %v", name, latency, err)
		}
	}
}
