package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTextsAreComplete(t *testing.T) {
	all, err := parseTexts(textsTSV)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		if len(x.commit) != 40 || strings.Trim(x.commit, "0123456789abcdef") != "" {
			t.Errorf("%s: commit %q is no full object name", x.name, x.commit)
		}
		if strings.Count(x.repository, "/") != 1 || x.paths == "" {
			t.Errorf("%s: repository %q, paths %q", x.name, x.repository, x.paths)
		}
	}
	if _, err := parseTexts("head\nx\tscroll\ta/b\tc\td\te\tf"); err == nil {
		t.Error("an unknown format was accepted")
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format, in string
		want       []string
	}{
		{"lines", "One. Two.\nThree", []string{"One. Two.", "Three"}},
		{"book", "TITLE\n\n\"I went,\" said Mr. Smith, \"to\nthe _sea_. It was cold!\" He\nlaughed.\n\nThis eBook of Project Gutenberg.\n",
			[]string{`"I went," said Mr. Smith, "to the sea.`, `It was cold!"`, "He laughed."}},
		{"wiki", "<doc id=\"1\">\nAn Article\n\nFirst (1 of 2) one. In the U.S. Second one.\nA heading\n</doc>", []string{"First   one.", "In the U.S. Second one."}},
		{"turns", `[{"turns": [{"utterance": "Hello there. Can you help?"}, {"utterance": "Yes"}]}]`, []string{"Hello there.", "Can you help?", "Yes"}},
		{"tokens", "token|speaker|ts|endTs|punctuation\nGood|0|||\nday|0|||.\n<laugh>|0|||\nSo|1|||,\nyes|1|||", []string{"Good day. ", "So, yes "}},
		{"pairs", "He laughed.\tO güldü.\nGo.\tGit.", []string{"He laughed.", "Go."}},
	} {
		got, err := formats[c.format](c.in)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.format, got, err, c.want)
		}
	}
	if _, err := formats["turns"]("{"); err == nil {
		t.Error("broken JSON was accepted")
	}
}

func TestEnglish(t *testing.T) {
	for s, want := range map[string]bool{
		"She left at 9:30 (so he said).":             true,
		"“She was rather naïve about it,” — he said": true,
		"О чём ты говоришь?":                         false,
		"12 34 56 78 | 90":                           false,
		"{{cite web|url=x}} = \\frac{a}{b}^2":        false,
	} {
		if got := english(s); got != want {
			t.Errorf("english(%q) = %t", s, got)
		}
	}
}

// Files of a commit become one text: each sentence once, in the order of the files,
// without those held out, in capitals, or foreign.
func TestWritesTexts(t *testing.T) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "a+b")
	git := func(args ...string) string {
		t.Helper()
		c := exec.Command("git", append([]string{"-C", repo, "-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.MkdirAll(repo, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"one.txt": "The first line.\nA line twice.\nCAPITALS\nHeld out for testing now.\n",
		"two.txt": "A line twice.\nOn the 3rd of May.\nНе английский.\n", "other.md": "Not this.\n",
		"big.txt": strings.Repeat("Too large.\n", maxText/10),
	} {
		if err := os.WriteFile(filepath.Join(repo, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "x")
	manifest := filepath.Join(dir, "manifest.tsv")
	if err := os.WriteFile(manifest, []byte("path\tsplit\ttext\nx\ttest\theld out for testing now\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	was := textsTSV
	defer func() { textsTSV = was }()
	textsTSV = "name\tformat\trepository\tcommit\tpaths\tlicence\tcredit\nt\tlines\ta/b\t" + git("rev-parse", "HEAD") + "\ttwo*|*.txt\tCC0-1.0\tx\n"
	out := filepath.Join(dir, "out")
	if err := writeTexts(out, dir, "", []string{manifest}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(out, "t.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "a line twice\non the third of may\nthe first line\n"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
}
