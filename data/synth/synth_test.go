package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/transcript"
)

func testHeld() *transcript.HeldOut {
	h := &transcript.HeldOut{}
	for _, s := range []string{"yes", "He was gone.", "The quick brown fox jumps over the lazy dog."} {
		h.Add(s)
	}
	return h
}

func TestCheckFindsHeldOutSentences(t *testing.T) {
	h := testHeld()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.txt"), filepath.Join(dir, "bad.tsv")
	write(t, good, "a line\nHe is gone.\n")
	write(t, bad, "split\ttext\nvalid\tyes\ntrain\tAnd then he was gone\n")
	if err := check([]string{good}, h); err != nil {
		t.Error(err)
	}
	if err := check([]string{good, bad}, h); err == nil || !strings.HasPrefix(err.Error(), "1 ") {
		t.Errorf("check of a bad manifest: %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestTextFormats(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"book":    {"\ufeffTitle: X\r\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\r\n\r\nCHAPTER ONE\r\n\r\n\"No!\" he said. He was\r\ngone. It was 12 o'clock.\r\n\r\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\r\nlicence\r\n", []string{"no he said", "it was twelve o'clock"}},
		"lj":      {"LJ1|Printing|Printing, in 2|Printing, in two\n", nil},
		"lj3":     {"LJ1|Printing, 2|Printing, two\n", []string{"printing two"}},
		"prompts": {"( a1 \"Author of it.\" )\n", []string{"author of it"}},
		"verses":  {"1Ge1:1 In the beginning\n", []string{"in the beginning"}},
		"plain":   {"a line\nyes\na line\n", []string{"a line"}},
	} {
		path := filepath.Join(dir, name)
		write(t, path, c.text)
		got, _, err := readText(path, testHeld())
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, s := range got {
			text = append(text, s.text)
		}
		if c.want != nil && !reflect.DeepEqual(text, c.want) {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
}

func TestPlansFollowTheSeedAndHoldNothingOut(t *testing.T) {
	h := testHeld()
	g := newGrammar([]string{"zebedee"})
	all := []sentence{{"One sentence.", "one sentence"}, {"Another.", "another"}}
	voices := map[string]bool{}
	differ := false
	for i := range 2000 {
		u := plan(options{seed: 1, dictated: 0.9}, i, all, g, h)
		if again := plan(options{seed: 1, dictated: 0.9}, i, all, g, h); u != again {
			t.Fatalf("%+v, then %+v", u, again)
		}
		differ = differ || u != plan(options{seed: 2, dictated: 0.9}, i, all, g, h)
		if transcript.Spoken(u.text) != u.text || h.Has(u.text) {
			t.Errorf("text %q", u.text)
		}
		voices[u.voice.speaker()] = true
	}
	if !differ || len(voices) < 200 {
		t.Errorf("seeds differ: %t; %d voices", differ, len(voices))
	}
}

func TestLettersAreSaidByName(t *testing.T) {
	u := utterance{sentence: sentence{say: "A, Z, one"}, voice: voice{"flite", "slt"}}
	if got := u.saying(); got != "ay, zee, one" {
		t.Errorf("%q", got)
	}
	u.say = "A man saw it."
	if got := u.saying(); got != "A man saw it." {
		t.Errorf("%q", got)
	}
}
