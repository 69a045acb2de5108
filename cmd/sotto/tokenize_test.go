package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDetokenizeIsDecode: through every format and layout the sound is that of
// encode and decode, byte for byte.
func TestDetokenizeIsDecode(t *testing.T) {
	dir := t.TempDir()
	corpus := filepath.Join(dir, "corpus", "a b")
	if err := os.MkdirAll(corpus, 0o777); err != nil {
		t.Fatal(err)
	}
	speech(t, filepath.Join(corpus, "one.wav"), 22050, 1, 30001)
	speech(t, filepath.Join(corpus, "two.wav"), 16000, 1, 1)
	speech(t, filepath.Join(corpus, "three.wav"), 16000, 1, 9600)
	do := func(args ...string) result {
		t.Helper()
		r := runs(t, dir, nil, args...)
		if r.code != 0 {
			t.Fatalf("sotto %s: %+v", strings.Join(args, " "), r)
		}
		return r
	}
	want := map[string][]byte{}
	for _, name := range []string{"one", "two", "three"} {
		in := filepath.Join("corpus", "a b", name+".wav")
		do("encode", in, name+".sotto")
		do("decode", name+".sotto", name+".wav")
		data, err := os.ReadFile(filepath.Join(dir, name+".wav"))
		if err != nil {
			t.Fatal(err)
		}
		want[name] = data
	}
	check := func(where string, folder string) {
		t.Helper()
		for name, data := range want {
			got, err := os.ReadFile(filepath.Join(dir, where, folder, name+".wav"))
			if err != nil {
				t.Fatal(err)
			}
			if where == "text" || where == "kaldi" { // which do not know the length: whole frames at the model's rate
				if len(got) < 44+640 || name == "three" && !bytes.Equal(got, data) {
					t.Errorf("%s: %s has %d bytes and not those of decode", where, name, len(got))
				}
				continue
			}
			if !bytes.Equal(got, data) {
				t.Errorf("%s: %s is not what decode gives", where, name)
			}
		}
	}
	for _, c := range []struct{ name, format, layout string }{
		{"npy", "npy", "parallel"}, {"npz", "npz", "delay"}, {"parquet", "parquet", "parallel"}, {"parquet2", "parquet", "flat"},
		{"jsonl", "jsonl", "coarse"}, {"wds", "wds", "delay"}, {"text", "text", "flat"}, {"kaldi", "kaldi", "parallel"},
	} {
		do("tokenize", "corpus", "--out", "t-"+c.name, "--format", c.format, "--layout", c.layout)
		do("detokenize", "t-"+c.name, "--out", c.name)
		folder := "a%20b"
		check(c.name, folder)
	}
	// Tokens that exist already are taken as they are.
	do("tokenize", "one.sotto", "two.sotto", "three.sotto", "--out", "t-again")
	do("detokenize", "t-again", "--out", "again")
	check("again", "")
	// Single files and pipes.
	do("tokenize", "three.wav", "--out", "three.npy")
	do("detokenize", "three.npy", "--out", "x.wav")
	r := do("tokenize", "corpus/a b/three.wav", "--format", "text", "--bitrate", "0.5", "--out", "-")
	if !strings.HasPrefix(r.stdout, "three <|a_") || strings.Count(r.stdout, "<|") != 30 {
		t.Errorf("text of 30 frames: %q", r.stdout)
	}
	r = runs(t, dir, []byte("corpus/a b/three.wav\n"), "tokenize", "-", "--out", "-", "--ends", "--layout", "flat")
	var row struct {
		ID    string
		Codes []int32
	}
	if err := json.Unmarshal([]byte(r.stdout), &row); err != nil || row.ID != "corpus/a b/three" || len(row.Codes) != 242 {
		t.Errorf("a list on standard input: %v, %s with %d ids", err, row.ID, len(row.Codes))
	}
	do("detokenize", "t-npy", "--id", "a b/two", "--out", "two-again.flac")
}

// TestTokenizeErrors: one line that says what, why and what to do.
func TestTokenizeErrors(t *testing.T) {
	dir := t.TempDir()
	speech(t, filepath.Join(dir, "a.wav"), 16000, 1, 1600)
	for name, text := range map[string]string{"text.wav": "hello, world\nthis is text\n", "a.npy": "taken", "bad.jsonl": "{}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if r := runs(t, dir, nil, "tokenize", "a.wav", "--out", "run", "--bitrate", "1"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"tokenize a.wav", 2, "--out"},
		{"tokenize a.wav --out a.npy", 1, "exists already: give --force"},
		{"tokenize nothing.wav --out x", 1, "nothing.wav: no such file"},
		{"tokenize nothing*.wav --out x", 1, "matches no file"},
		{"tokenize text.wav --out x", 1, "none of 1 files could be tokenized"},
		{"tokenize text.wav --out x.npy", 1, "is a text file"},
		{"tokenize bad.jsonl --out x2", 1, "line 1: it names no file"},
		{"tokenize a.wav --out y --format arrow", 1, "it is one of"},
		{"tokenize a.wav --out y --layout spiral", 2, "it is one of"},
		{"tokenize a.wav --out y --layout units", 2, "is for one codebook"},
		{"tokenize a.wav --out y --base 5", 2, "takes no base"},
		{"tokenize a.wav --out y --format text --layout delay", 1, "needs a layout of one stream"},
		{"tokenize a.wav --out y --shards 2", 2, "--shards needs --shard"},
		{"tokenize a.wav --out y --shards 2 --shard 2", 2, "outside of 0 to 1"},
		{"tokenize a.wav --out run", 1, "holds a run with 2 codebooks, this one has 8"},
		{"tokenize a.wav --out run --bitrate 1 --layout flat", 1, "layout parallel, this one"},
		{"tokenize text.wav --out run --bitrate 1", 1, "the inputs are not those"},
		{"detokenize nothing.npy --out b.wav", 1, "no such file"},
		{"detokenize a.npy --out b.wav", 1, "not a NumPy array"},
		{"detokenize a.wav --out b.wav", 1, "is no token file"},
		{"detokenize run --id b --out b.wav", 1, "holds no utterance b"},
	} {
		r := runs(t, dir, nil, strings.Fields(c.args)...)
		lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
		last := lines[len(lines)-1]
		if r.code != c.code || !strings.HasPrefix(last, "sotto: ") || !strings.Contains(last, c.want) || c.code == 2 && len(lines) != 1 {
			t.Errorf("sotto %s: code %d, want %d with %q in:\n%s", c.args, r.code, c.code, c.want, r.stderr)
		}
	}
}

// TestTokenizeSurvivesSIGKILL: killed five times and started again, a run makes the
// data set of one that was left alone, byte for byte.
func TestTokenizeSurvivesSIGKILL(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "corpus"), 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 48 {
		speech(t, filepath.Join(dir, "corpus", fmt.Sprintf("%02d.wav", i)), 16000, 1, 9000+300*i)
	}
	if err := os.WriteFile(filepath.Join(dir, "corpus", "bad.wav"), []byte("RIFF"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"parquet", "npy"} {
		args := []string{"tokenize", "corpus", "--format", format, "--part", "2s", "--out"}
		if r := runs(t, dir, nil, append(args, "whole-"+format)...); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		out := filepath.Join(dir, "killed-"+format)
		parts := func() int {
			names, _ := filepath.Glob(filepath.Join(out, ".sotto", "part-*.json"))
			return len(names)
		}
		kills := 0
		for kill := range 5 {
			cmd := exec.Command(program, append(args, out)...)
			cmd.Dir = dir
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() { cmd.Wait(); close(done) }()
			from := parts()
		watch:
			for parts() < from+1+kill%2 {
				select {
				case <-done:
					break watch
				case <-time.After(time.Millisecond):
				}
			}
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			if cmd.Process.Kill() == nil {
				kills++
			}
			<-done
		}
		if left := parts(); kills < 4 {
			t.Errorf("%s: %d kills only, %d parts done before the last run", format, kills, left)
		}
		if r := runs(t, dir, nil, append(args, out)...); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		diff := exec.Command("diff", "-r", "whole-"+format, "killed-"+format)
		diff.Dir = dir
		if msg, err := diff.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", format, err, msg)
		}
	}
}
