package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// transcripts in all formats agree, from a file, a pipe, and whatever pieces the
// sound comes in.
func TestTranscribeFormatsAgree(t *testing.T) {
	dir := t.TempDir()
	wav, err := os.ReadFile("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.wav"), wav, 0o666); err != nil {
		t.Fatal(err)
	}
	type segment struct {
		Start, End float64
		Text       string
		Words      []struct {
			Text       string
			Start, End float64
			Confidence float64
			Emission   float64 `json:"emission_time"`
		}
	}
	var doc struct {
		File, Model, Text string
		Duration, Latency float64
		Segments          []segment
	}
	r := runs(t, dir, nil, "transcribe", "--format", "json", "a.wav")
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.File != "a.wav" || doc.Duration < 5 || doc.Latency <= 0 || doc.Latency > 0.4 || doc.Text == "" {
		t.Errorf("%+v", doc)
	}
	last := 0.0
	for _, s := range doc.Segments {
		for _, w := range s.Words {
			if w.Start < last || w.End < w.Start || w.End > doc.Duration+0.02 || w.Confidence < 0 || w.Confidence > 1 || w.Emission == 0 {
				t.Errorf("%+v after %v", w, last)
			}
			last = w.End
		}
	}
	words := strings.Fields(doc.Text)
	for _, args := range [][]string{{"a.wav"}, {"--threads", "1", "-"}, {"--format", "txt", "--beam", "96", "a.wav"}} {
		r := runs(t, dir, wav, append([]string{"transcribe"}, args...)...)
		if r.code != 0 || strings.Join(strings.Fields(r.stdout), " ") != strings.Join(words, " ") {
			t.Errorf("%v: %+v, want %v", args, r, words)
		}
	}
	var final []string
	for _, l := range strings.Split(strings.TrimSpace(runs(t, dir, wav, "transcribe", "--format", "jsonl", "-").stdout), "\n") {
		var row struct {
			Text  string
			Final bool `json:"is_final"`
		}
		if err := json.Unmarshal([]byte(l), &row); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if row.Final {
			final = append(final, strings.Fields(row.Text)...)
		}
	}
	if strings.Join(final, " ") != doc.Text {
		t.Errorf("jsonl commits %q, json has %q", final, doc.Text)
	}
	srt := runs(t, dir, nil, "transcribe", "--format", "srt", "a.wav").stdout
	captions := regexp.MustCompile(`(?m)^\d+\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n`).ReplaceAllString(srt, "")
	if got := strings.Join(strings.Fields(captions), " "); got != doc.Text {
		t.Errorf("srt has %q, json %q", got, doc.Text)
	}
}

// Tokens are transcribed as they are: the same text from a file and from a pipe.
func TestTranscribeTokens(t *testing.T) {
	dir := t.TempDir()
	sample, err := filepath.Abs("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	if r := runs(t, dir, nil, "encode", sample, "a.sotto"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	r := runs(t, dir, nil, "transcribe", "a.sotto", "--out", "a.txt")
	text, err := os.ReadFile(filepath.Join(dir, "a.txt"))
	if r.code != 0 || err != nil || len(text) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	tokens, err := os.ReadFile(filepath.Join(dir, "a.sotto"))
	if err != nil {
		t.Fatal(err)
	}
	if r := runs(t, dir, tokens, "transcribe", "-"); r.code != 0 || r.stdout != string(text) {
		t.Errorf("from a pipe %+v, from the file %q", r, text)
	}
	// A folder for several, and no file is replaced unasked.
	if r := runs(t, dir, nil, "transcribe", "--format", "vtt", "--out", "out", "a.sotto", sample); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	for _, name := range []string{"a.vtt", "speech.vtt"} {
		if b, err := os.ReadFile(filepath.Join(dir, "out", name)); err != nil || !strings.HasPrefix(string(b), "WEBVTT\n") {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if r := runs(t, dir, nil, "transcribe", "a.sotto", "--out", "a.txt"); r.code != 1 || !strings.Contains(r.stderr, "--force") {
		t.Errorf("an existing file: %+v", r)
	}
	// A damaged file is transcribed as far as it goes, and told.
	tokens[len(tokens)/2] ^= 0xff
	if r := runs(t, dir, tokens, "transcribe", "-"); r.code != 1 || !strings.Contains(r.stderr, "whole was transcribed") {
		t.Errorf("damage: %+v", r)
	}
}

func TestTranscribeMistakes(t *testing.T) {
	dir := t.TempDir()
	sample, err := filepath.Abs("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code   int
		stderr string
		args   []string
	}{
		{1, "no such file", []string{"none.wav"}},
		{2, "--chunk 5", []string{"--chunk", "5", sample}},
		{2, "exclude each other", []string{"--chunk", "320", "--offline", sample}},
		{2, "exclude each other", []string{"--stream", "--offline", sample}},
		{2, "f32 only", []string{"--precision", "int8", sample}},
		{2, "takes no adapters", []string{"--adapter", "a.safetensors", sample}},
		{2, "--out DIR", []string{"--format", "srt", sample, sample}},
		{2, "only input", []string{"-", sample}},
		{1, "none.lm", []string{"--lm", "none.lm", sample}},
		{1, "language", []string{"--language", "xx", sample}},
		{1, "none.safetensors", []string{"--model", "none.safetensors", sample}},
		{1, "channel 3", []string{"--channel", "3", sample}},
	} {
		r := runs(t, dir, nil, append([]string{"transcribe"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.stderr) || strings.Count(r.stderr, "\n") > 1+strings.Count(r.stderr, "Usage") {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
}

func TestEvalASR(t *testing.T) {
	dir := t.TempDir()
	sample, err := os.ReadFile("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.wav"), sample, 0o666); err != nil {
		t.Fatal(err)
	}
	table := "path\tsplit\ttext\na.wav\tvalid\tThe wrong words, altogether.\n"
	if err := os.WriteFile(filepath.Join(dir, "m.tsv"), []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	r := runs(t, dir, nil, "eval", "asr", "--data", "m.tsv", "--tokens", "--clips", "--json")
	var report struct {
		WER, CER float64
		Words    int
		Clips    int
		Latency  *struct{ Median, P95, Algorithmic float64 } `json:"latency_ms"`
		Tokens   map[string]struct{ WER float64 }
		PerClip  []struct{ Ref, Hyp string } `json:"per_clip"`
		Errors   []struct{ Count int }
	}
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Words != 4 || report.Clips != 1 || report.WER == 0 || len(report.Tokens) < 2 || len(report.PerClip) != 1 ||
		report.PerClip[0].Ref != "the wrong words altogether" || len(report.Errors) == 0 || report.Latency == nil || report.Latency.Algorithmic > 400 {
		t.Errorf("%s", r.stdout)
	}
	if r := runs(t, dir, nil, "eval", "asr", "--data", "m.tsv", "--offline"); r.code != 0 || !strings.Contains(r.stdout, "WER") {
		t.Errorf("%+v", r)
	}
	if r := runs(t, dir, nil, "eval", "asr", "--data", "m.tsv", "--split", "test"); r.code != 1 {
		t.Errorf("%+v", r)
	}
}
