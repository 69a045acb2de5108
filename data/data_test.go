package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/audio"
)

func TestSourcesAreComplete(t *testing.T) {
	sources, err := parseSources(sourcesTSV)
	if err != nil {
		t.Fatal(err)
	}
	hex := regexp.MustCompile(`^[0-9a-f]+$`)
	for _, s := range sources {
		if len(s.commit) != 40 || !hex.MatchString(s.commit) {
			t.Errorf("%s: commit %q is no full object name", s.name, s.commit)
		}
		if len(s.sha256) != 64 || !hex.MatchString(s.sha256) {
			t.Errorf("%s: SHA-256 %q", s.name, s.sha256)
		}
		if s.role != "train" && s.role != "noise" {
			t.Errorf("%s: role %q", s.name, s.role)
		}
	}
	// The sample that newcomers hear first must not be trained on.
	if got := heldout(heldoutTSV)["LJ001-0108"]; got != "valid" {
		t.Errorf("samples/speech.wav is in split %q, not valid", got)
	}
}

// Every set whose text is in labels/ has its file, one clip a line, each once,
// with a text of letters; and every file has its set.
func TestLabels(t *testing.T) {
	sources, err := parseSources(sourcesTSV)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range sources {
		if name := s.labels(); name != "" {
			want = append(want, name+".tsv")
		}
	}
	files, err := labels.ReadDir("labels")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(want, f.Name()) {
			t.Errorf("labels/%s belongs to no source", f.Name())
		}
		b, err := labels.ReadFile("labels/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		line := regexp.MustCompile(`^[A-Za-z0-9_-]+\t[A-Za-z ,.'?!;:"-]+$`)
		seen := map[string]bool{}
		for i, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			id, _, _ := strings.Cut(l, "\t")
			switch {
			case i == 0:
				if l != "id\ttext" {
					t.Errorf("labels/%s: heading %q", f.Name(), l)
				}
			case !line.MatchString(l):
				t.Errorf("labels/%s: %q is no clip and its sentence", f.Name(), l)
			case seen[id]:
				t.Errorf("labels/%s: %s twice", f.Name(), id)
			}
			seen[id] = true
		}
	}
	for _, name := range want {
		if _, err := labels.ReadFile("labels/" + name); err != nil {
			t.Error(err)
		}
	}
}

func TestClipNames(t *testing.T) {
	for _, c := range []struct{ file, id, prefix string }{
		{"LibriSpeech/19/198/19-198-0000.flac", "19-198-0000", "19"},
		{"out/src;p239_462&tgt;p230_051/S!p239_462.wav", "p239_462", "p239"},
		{"wavs/plain.wav", "plain", "plain"},
	} {
		id := clipID(c.file)
		if id != c.id || idPrefix(id) != c.prefix {
			t.Errorf("%s: %q, %q, want %q, %q", c.file, id, idPrefix(id), c.id, c.prefix)
		}
	}
}

func TestCSVTexts(t *testing.T) {
	file := "filename,text,age\ndir/a.mp3,\"one, two\",\nb.mp3,\"say \"\"no\"\"\",20\n"
	got := map[string]string{}
	if err := csvTexts(got, []byte(file), ',', "filename", "text"); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["a"] != "one, two" || got["b"] != `say "no"` {
		t.Errorf("%q", got)
	}
	tabs := "path\tsentence\nc.mp3\tHe said \"yes.\n"
	if err := csvTexts(got, []byte(tabs), '\t', "path", "sentence"); err != nil || got["c"] != `He said "yes.` {
		t.Errorf("%v, %q", err, got)
	}
	if csvTexts(got, []byte("a,b\nonly\n"), ',', "a", "b") == nil || csvTexts(got, []byte("a\tb\nonly\n"), '\t', "a", "b") == nil {
		t.Error("a short row was not noticed")
	}
	if csvTexts(got, []byte(file), ',', "filename", "words") == nil {
		t.Error("a missing column was not noticed")
	}
	if csvTexts(got, nil, ',', "filename", "text") == nil {
		t.Error("an empty file was not noticed")
	}
}

func TestMatch(t *testing.T) {
	g := &repo{blobs: map[string]string{"a/x.wav": "1", "a/b/y.wav": "2", "a/z.txt": "3", "a/b+c/y.wav": "4"}}
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{"a/*.wav", []string{"a/x.wav"}},
		{"a/**.wav", []string{"a/b+c/y.wav", "a/b/y.wav", "a/x.wav"}},
		{"a/*/*.*", []string{"a/b+c/y.wav", "a/b/y.wav"}},
		{"a/b+c/*", []string{"a/b+c/y.wav"}},
		{"*.wav", nil},
	} {
		if got := g.match(c.pattern); !slices.Equal(got, c.want) {
			t.Errorf("match(%q) = %v, want %v", c.pattern, got, c.want)
		}
	}
}

func TestBaseID(t *testing.T) {
	for id, want := range map[string]string{
		"arctic_a0366_1592708614": "arctic_a0366", // a take of one sentence
		"p239_001":                "p239_001",
		"LJ001-0108":              "LJ001-0108",
	} {
		if got := baseID(id); got != want {
			t.Errorf("baseID(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	level := func(v float32, n int) []float32 { return slices.Repeat([]float32{v}, n) }
	for _, c := range []struct {
		name    string
		x       []float32
		clipped int
		want    string
	}{
		{"0.39 s", level(0.1, 6240), 0, "short"},
		{"empty", nil, 0, "short"},
		{"1 s", level(0.1, 16000), 0, ""},
		{"a few clipped samples", level(0.1, 16000), 16, ""},
		{"clipped", level(0.1, 16000), 17, "clipped"},
		{"-54 dB", level(float32(math.Pow(10, -54./20)), 16000), 0, ""},
		{"-56 dB", level(float32(math.Pow(10, -56./20)), 16000), 0, "silent"},
	} {
		if got := judge(c.x, 16000, c.clipped); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestBuild runs the whole way on a repository made here: a tone of 1 kHz at
// 48 kHz in stereo must come back as the same tone at 16 kHz in mono, a held-out
// clip must go to its split, and one changed byte must be refused.
func TestBuild(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	clones := t.TempDir()
	dir := filepath.Join(clones, "some+voice")
	var wav bytes.Buffer
	w, err := audio.NewWAVWriter(&wav, audio.Format{SampleRate: 48000, Channels: 2, Bits: 16})
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 2*48000)
	for i := range 48000 {
		x[2*i] = float32(0.5 * math.Sin(2*math.Pi*1000*float64(i)/48000))
		x[2*i+1] = x[2*i]
	}
	if err := w.Write(x); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"wav/one.wav": wav.Bytes(), "wav/two.wav": wav.Bytes(), "wav/bad.wav": []byte("RIFF"), "meta.csv": []byte("one|First  clip.\ntwo|Second.\n"),
	}
	if err := os.MkdirAll(filepath.Join(dir, "wav"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"config", "core.autocrlf", "false"}, {"add", "."},
		{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "commit", "-qm", "clips"},
	} {
		if err := git(dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	head, err := exec.Command("git", "-C", dir, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := sha256.New()
	for _, name := range []string{"wav/bad.wav", "wav/one.wav", "wav/two.wav"} {
		fmt.Fprintf(list, "%x  %s\n", sha256.Sum256(files[name]), name)
	}
	s := source{name: "voice", role: "train", lang: "en", speaker: "v-{folder}", text: "table:meta.csv:2",
		repository: "some/voice", commit: strings.TrimSpace(string(head)), paths: "wav/*.wav", files: 3,
		sha256: fmt.Sprintf("%x", list.Sum(nil))}
	out := t.TempDir()
	rows, err := build(s, out, clones, nil, map[string]string{"two": "valid"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"voice/one.flac\t1.00\ttrain\tv-wav\ten\tFirst clip.\n",
		"voice/two.flac\t1.00\tvalid\tv-wav\ten\tSecond.\n",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	y, f, err := audio.ReadFile(filepath.Join(out, "voice", "one.flac"))
	if err != nil {
		t.Fatal(err)
	}
	if f.SampleRate != 16000 || f.Channels != 1 || len(y[0]) != 16000 {
		t.Fatalf("%+v, %d samples", f, len(y[0]))
	}
	for i := 1000; i < 15000; i++ {
		if e := math.Abs(float64(y[0][i]) - 0.5*math.Sin(2*math.Pi*1000*float64(i)/16000)); e > 1e-3 {
			t.Fatalf("sample %d is off by %g", i, e)
		}
	}
	s.sha256 = strings.Repeat("0", 64)
	if _, err := build(s, out, clones, nil, nil); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("wrong SHA-256: error %v", err)
	}
}
