package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Entropy-coded files decode to the same sound from fewer bytes, say what they
// are, and go through pipes.
func TestEncodeEntropy(t *testing.T) {
	dir := t.TempDir()
	sample, err := filepath.Abs("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	do := func(args string) []byte {
		t.Helper()
		r := runs(t, dir, nil, strings.Fields(args)...)
		if r.code != 0 {
			t.Fatalf("sotto %s: exit code %d: %s", args, r.code, r.stderr)
		}
		return []byte(r.stdout)
	}
	do("encode --bitrate 1 " + sample + " plain.sotto")
	do("encode --bitrate 1 --entropy " + sample + " coded.sotto")
	do("decode plain.sotto plain.wav")
	do("decode coded.sotto coded.wav")
	size := map[string]int{}
	data := map[string][]byte{}
	for _, name := range []string{"plain.sotto", "coded.sotto", "plain.wav", "coded.wav"} {
		if data[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		size[name] = len(data[name])
	}
	if !bytes.Equal(data["plain.wav"], data["coded.wav"]) {
		t.Error("the sound differs")
	}
	if size["coded.sotto"] >= size["plain.sotto"] {
		t.Errorf("sizes: %v", size)
	}
	for name, want := range map[string]string{"plain.sotto": "packed", "coded.sotto": "entropy"} {
		var d struct {
			Coding, Entropy string
			Frames          int
		}
		if err := json.Unmarshal(do("info --json "+name), &d); err != nil {
			t.Fatal(err)
		}
		if d.Coding != want || (d.Entropy != "") != (want == "entropy") || d.Frames == 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if r := runs(t, dir, data["coded.sotto"], "decode", "-", "-"); !bytes.HasSuffix([]byte(r.stdout), data["plain.wav"][1000:]) {
		t.Errorf("through a pipe: exit code %d, %d bytes", r.code, len(r.stdout))
	}
}

// Every figure of the report is there, for a data set of a few short clips.
func TestEvalTokens(t *testing.T) {
	dir := t.TempDir()
	manifest := "path\tsplit\tspeaker\ttext\n"
	for i := range 4 {
		name := fmt.Sprintf("%d.wav", i)
		speech(t, filepath.Join(dir, name), 16000, 1, 16000+1000*i)
		manifest += name + "\t" + []string{"train", "valid"}[i%2] + "\ts\tword\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "m.tsv"), []byte(manifest), 0o666); err != nil {
		t.Fatal(err)
	}
	r := runs(t, dir, nil, "eval", "tokens", "--data", "m.tsv", "--json")
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	var d struct {
		Codebooks, Before, Within, Rates []any
		Stability                        []struct {
			Disturbance string
			Same        []float64
		}
		Layouts map[string][]struct{ Perplexity float64 }
	}
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Codebooks) != 8 || len(d.Before) != 8 || len(d.Within) != 8 || len(d.Rates) != 8 || len(d.Stability) != 7 || len(d.Layouts) != 4 {
		t.Errorf("a figure is missing: %+v", d)
	}
	if r := runs(t, dir, nil, "eval", "tokens", "--data", "m.tsv"); r.code != 0 || !strings.Contains(r.stdout, "BY THE NETWORK") {
		t.Errorf("as text: exit code %d, %s%s", r.code, r.stdout, r.stderr)
	}
}
