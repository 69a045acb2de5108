package main

import (
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The model with codebooks by structural entropy goes through all that the default
// one does, and decoding finds it by itself.
func TestStructuralEntropyFromTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	wav := speech(t, filepath.Join(dir, "a.wav"), 16000, 1, 16000)
	run := func(stdin []byte, args ...string) result {
		t.Helper()
		r := runs(t, dir, stdin, args...)
		if r.code != 0 {
			t.Fatalf("sotto %v: %+v", args, r)
		}
		return r
	}
	run(nil, "encode", "--quantizer", "se", "a.wav", "a.sotto")
	var info struct {
		Model   string  `json:"model"`
		Sizes   []int   `json:"codebook_sizes"`
		Bitrate float64 `json:"bitrate"`
		Frames  int     `json:"frames"`
	}
	if err := json.Unmarshal([]byte(run(nil, "info", "--json", "a.sotto").stdout), &info); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(info.Model, "-se") || len(info.Sizes) != 8 || info.Frames != 50 {
		t.Errorf("info gives %+v", info)
	}
	bits, even := 0.0, true
	for _, n := range info.Sizes {
		bits += math.Log2(float64(n))
		even = even && n&(n-1) == 0
	}
	if got := info.Bitrate / 50; even || got < bits || got > bits+3 {
		t.Errorf("%g bits a frame in files, sizes of %v need %.1f", got, info.Sizes, bits)
	}
	run(nil, "decode", "a.sotto", "b.wav")
	if a, b := size16(t, dir, "a.wav"), size16(t, dir, "b.wav"); a != b {
		t.Errorf("%d bytes went in, %d came out", a, b)
	}
	piped := run(wav, "encode", "--quantizer", "se", "-", "-")
	file, err := os.ReadFile(filepath.Join(dir, "a.sotto"))
	if err != nil {
		t.Fatal(err)
	}
	if piped.stdout != string(file) {
		t.Error("a pipe gives another file")
	}
	run(nil, "encode", "--quantizer", "se", "--bitrate", "2", "a.wav", "low.sotto")
	for args, want := range map[string]string{
		"encode --quantizer vq a.wav c.sotto":           "--quantizer must be one of",
		"encode --quantizer se --model x a.wav c.sotto": "--quantizer goes with the model inside",
	} {
		if r := runs(t, dir, nil, strings.Fields(args)...); r.code != 2 || !strings.Contains(r.stderr, want) {
			t.Errorf("sotto %s: %+v", args, r)
		}
	}
}

func size16(t *testing.T, dir, name string) int64 {
	t.Helper()
	st, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

func TestEvalRVQ(t *testing.T) {
	dir := t.TempDir()
	speech(t, filepath.Join(dir, "a.wav"), 16000, 1, 24000)
	if err := os.WriteFile(filepath.Join(dir, "m.tsv"), []byte("path\tsplit\na.wav\tvalid\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	r := runs(t, dir, nil, "eval", "rvq", "--data", "m.tsv", "--json", "--histogram", "h.png", "--map", "m.png")
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	var report struct {
		Frames    int `json:"frames"`
		Codebooks []struct {
			Size       int                `json:"size"`
			Used       float64            `json:"used"`
			Perplexity float64            `json:"perplexity"`
			Entropy    float64            `json:"entropy"`
			Error      float64            `json:"error"`
			Stability  map[string]float64 `json:"stability"`
		} `json:"codebooks"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Frames != 75 || len(report.Codebooks) != 8 {
		t.Fatalf("%d frames, %d codebooks", report.Frames, len(report.Codebooks))
	}
	last := 1.0
	for i, b := range report.Codebooks {
		if b.Size != 1024 || !(b.Used > 0 && b.Used <= 75./1024) || b.Entropy > math.Log2(75)+1e-9 || math.Abs(b.Perplexity-math.Exp2(b.Entropy)) > 1e-6 {
			t.Errorf("codebook %d: %+v", i, b)
		}
		if b.Error >= last {
			t.Errorf("codebook %d leaves %g of the energy after %g", i, b.Error, last)
		}
		last = b.Error
		if len(b.Stability) != 6 || b.Stability["noise_50_db"] < b.Stability["noise_30_db"] {
			t.Errorf("codebook %d: stability %v", i, b.Stability)
		}
	}
	for _, name := range []string{"h.png", "m.png"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if img, err := png.Decode(f); err != nil || img.Bounds().Dx() < 400 {
			t.Errorf("%s is no picture: %v", name, err)
		}
		f.Close()
	}
	if r := runs(t, dir, nil, "eval", "rvq", "--data", "m.tsv", "--quantizer", "se"); r.code != 0 || !strings.Contains(r.stdout, "PERPLEXITY") {
		t.Errorf("%+v", r)
	}
	for i, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "SOTTO_DATA"},
		{"--data m.tsv --map x.png --codebook 8", 2, "0 to 7"},
		{"--data m.tsv --map m.png", 1, "m.png"},
		{"--data none.tsv", 1, "none.tsv: no such file"},
	} {
		if r := runs(t, dir, nil, append([]string{"eval", "rvq"}, strings.Fields(c.args)...)...); r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: %+v", fmt.Sprint(i, c.args), r)
		}
	}
}
