package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/npy"
)

// filesIn gives a Create for a folder.
func filesIn(dir string) Create {
	return func(name string) (io.WriteCloser, error) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, err
		}
		return os.Create(path)
	}
}

// utterances are some of every kind that formats could trip over.
func utterances(t *testing.T, v *Vocabulary, n int) ([]*Utterance, []*codec.Tokens) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	ids := []string{"plain", "with space/and.dot", "ümlaut/日本", "../up", "a%20b", "/abs\\path", "a//b", "tab\tand:colon"}
	var all []*Utterance
	var tokens []*codec.Tokens
	for i := range n {
		id := ids[i%len(ids)]
		if i >= len(ids) {
			id += strings.Repeat("x", i/len(ids))
		}
		x := frames(r, []int{7, 0, 1, 120, 2, 33, 1, 5}[i%8], v.Sizes)
		s, err := v.Arrange(x)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &Utterance{
			ID: id, Text: []string{"", "hello, \"world\"", "größe\n<|a_1|>"}[i%3], Speaker: []string{"", "s 1"}[i%2], Language: []string{"en", ""}[i%2],
			Samples: int64(x.Frames*320 - i%300), SampleRate: []int{16000, 44100}[i%2], Sequence: s,
		})
		if x.Frames == 0 {
			all[i].Samples = 0
		}
		tokens = append(tokens, x)
	}
	return all, tokens
}

func write(t *testing.T, dir string, f Format, v *Vocabulary, all []*Utterance) {
	t.Helper()
	w, err := NewWriter(f, v, "codes-0", filesIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		if err := w.Write(u); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.Create(filepath.Join(dir, VocabularyFile))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := v.Write(b); err != nil {
		t.Fatal(err)
	}
}

// TestFormatsInvert: every format gives back what was written, in every layout.
func TestFormatsInvert(t *testing.T) {
	for _, layout := range Layouts {
		for _, f := range Formats {
			info := model([]int{1024, 600, 512, 3}, 1, 2, 3, 4)
			if layout == Units || layout == Runs {
				info = model([]int{1024}, 1)
			}
			v, err := NewVocabulary(info, 0, VocabularyOptions{Layout: layout, Ends: f == WDS})
			if err != nil {
				t.Fatal(err)
			}
			if f == Text && !layout.single() {
				if _, err := NewWriter(f, v, "x", filesIn(t.TempDir())); err == nil {
					t.Errorf("text took layout %s", layout)
				}
				continue
			}
			want, _ := utterances(t, v, 40)
			dir := t.TempDir()
			write(t, dir, f, v, want)
			v, err = FindVocabulary(dir)
			if err != nil || v == nil {
				t.Fatal(v, err)
			}
			r, err := Open(dir, v)
			if err != nil {
				t.Fatal(err)
			}
			byID := map[string]*Utterance{}
			for {
				u, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s %s: %v", f, layout, err)
				}
				if byID[u.ID] != nil {
					t.Errorf("%s: id %q twice", f, u.ID)
				}
				byID[u.ID] = u
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			for _, u := range want {
				w := *u
				if f == Text || f == Kaldi { // which hold codes only
					w = Utterance{ID: u.ID, Samples: -1, Sequence: u.Sequence}
				}
				got := byID[w.ID]
				if got == nil {
					t.Fatalf("%s %s: %q is missing", f, layout, w.ID)
				}
				if !slices.Equal(got.Sequence.IDs, w.Sequence.IDs) {
					t.Fatalf("%s %s: %q: %v comes back as %v", f, layout, w.ID, w.Sequence.IDs, got.Sequence.IDs)
				}
				if f == NPY && w.Sequence.Width == 1 { // without rows a width is not seen
					got.Sequence.Width = 1
				}
				got.Sequence.IDs, w.Sequence.IDs = nil, nil
				if !reflect.DeepEqual(*got, w) {
					t.Fatalf("%s %s: %+v comes back as %+v", f, layout, w, *got)
				}
			}
			if len(byID) != len(want) {
				t.Errorf("%s %s: %d utterances come back as %d", f, layout, len(want), len(byID))
			}
			outside, _ := filepath.Glob(filepath.Join(dir, "..", "up*"))
			if len(outside) > 0 {
				t.Fatalf("%s wrote outside of its folder: %v", f, outside)
			}
		}
	}
}

// TestKeys: keys are names that stay in their folder, and differ where ids do.
func TestKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	alphabet := []string{"a", "b", ".", "/", "%", " ", "%2E", "%20", "\\", "..", "é", "\xff", ":"}
	for _, dots := range []bool{false, true} {
		seen := map[string]string{}
		for range 20000 {
			id := ""
			for range 1 + r.IntN(5) {
				id += alphabet[r.IntN(len(alphabet))]
			}
			k := key(id, dots)
			if other, ok := seen[k]; ok && other != id {
				t.Fatalf("%q and %q have the key %q", id, other, k)
			}
			seen[k] = id
			if back := unkey(k); back != id {
				t.Fatalf("%q has the key %q, which is read as %q", id, k, back)
			}
			if !filepath.IsLocal(filepath.FromSlash(k)) || strings.ContainsAny(k, " \\:\t") || !dots && strings.Contains(k, ".") {
				t.Fatalf("%q has the key %q", id, k)
			}
		}
	}
}

// python gives an interpreter that has the modules.
func python(t *testing.T, modules string) string {
	t.Helper()
	for _, name := range []string{os.Getenv("SOTTO_PYTHON"), "python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "import "+modules).Run() == nil {
			return path
		}
	}
	t.Skipf("no python3 with %s: name one in SOTTO_PYTHON", modules)
	return ""
}

// TestPythonReads runs the scripts of the documentation on data sets of every
// format and compares the codes.
func TestPythonReads(t *testing.T) {
	doc, err := os.ReadFile("../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	scripts := regexp.MustCompile("(?s)`--format ([a-z]+)`[^`]*?(?:`[^`\n]*`[^`]*?)*?```python\n(.*?)```").FindAllStringSubmatch(string(doc), -1)
	scripts = append(scripts, []string{"", "parquet", regexp.MustCompile("(?s)with `datasets`:\n\n```python\n(.*?)```").FindStringSubmatch(string(doc))[1]})
	if len(scripts) != len(Formats)+1 {
		t.Fatalf("%d scripts in the documentation for %d formats", len(scripts), len(Formats))
	}
	for _, s := range scripts {
		f, script := Format(s[1]), s[2]
		t.Run(string(f), func(t *testing.T) {
			if n := strings.Count(script, "\n"); n > 3 {
				t.Errorf("the script has %d lines", n)
			}
			modules := strings.TrimPrefix(strings.SplitN(script, "\n", 2)[0], "import ")
			interpreter := python(t, modules)
			layout := Parallel
			if f == Text {
				layout = Flat
			}
			v, err := NewVocabulary(model([]int{1024, 600, 512, 3}, 1, 2, 3, 4), 0, VocabularyOptions{Layout: layout})
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			all, tokens := utterances(t, v, 24)
			write(t, filepath.Join(mkdir(t, dir, "tokens")), f, v, all)
			cmd := exec.Command(interpreter, "-c", script+"\nimport json\nprint('\\n'+json.dumps({k: [list(map(int, r)) for r in c] for k, c in codes.items()}))")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HF_HOME="+t.TempDir(), "HF_HUB_OFFLINE=1")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			var got map[string][][]int32
			if err := json.Unmarshal(out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:], &got); err != nil {
				t.Fatal(err)
			}
			for i, u := range all {
				id := u.ID
				if f == Text || f == Kaldi {
					id = key(id, true)
				}
				rows, ok := got[id]
				if !ok || !slices.Equal(slices.Concat(rows...), tokens[i].Codes) {
					t.Errorf("%q: Python reads %v (%v), want %v", id, rows, ok, tokens[i].Codes)
				}
			}
			if len(got) != len(all) {
				t.Errorf("Python reads %d utterances of %d", len(got), len(all))
			}
		})
	}
}

func mkdir(t *testing.T, elem ...string) string {
	t.Helper()
	dir := filepath.Join(elem...)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// FuzzReaders: no token file makes a reader panic, hang or take memory that its
// size does not explain.
func FuzzReaders(f *testing.F) {
	v, err := NewVocabulary(model([]int{1024, 600}, 1, 2), 0, VocabularyOptions{Layout: Parallel})
	if err != nil {
		f.Fatal(err)
	}
	flat, err := NewVocabulary(model([]int{1024, 600}, 1, 2), 0, VocabularyOptions{})
	if err != nil {
		f.Fatal(err)
	}
	names := []string{"a.npy", "a.npz", "a.parquet", "a.jsonl", "a.tar", "a.txt"}
	dir := f.TempDir()
	for i, format := range []Format{NPY, NPZ, Parquet, JSONL, WDS, Text} {
		x := v
		if format == Text {
			x = flat
		}
		s, err := x.Arrange(&codec.Tokens{Frames: 3, Codebooks: 2, Codes: []int32{1, 2, 3, 4, 1023, 599}})
		if err != nil {
			f.Fatal(err)
		}
		file, err := os.Create(filepath.Join(dir, names[i]))
		if err != nil {
			f.Fatal(err)
		}
		w := NewStreamWriter(format, x, file)
		if err := w.Write(&Utterance{ID: "x", Text: "y", Samples: 900, SampleRate: 16000, Sequence: s}); err != nil {
			f.Fatal(err)
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		data, err := os.ReadFile(file.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		name := filepath.Join(t.TempDir(), names[int(kind)%len(names)])
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		x := v
		if strings.HasSuffix(name, ".txt") {
			x = flat
		}
		r, err := Open(name, x)
		if err != nil {
			return
		}
		defer r.Close()
		for range 1000 {
			u, err := r.Next()
			if err != nil {
				return
			}
			x.Restore(u.Sequence)
		}
	})
}

// TestLargeNPY: an array is bounded by its bytes, before any of them is read.
func TestLargeNPY(t *testing.T) {
	for _, c := range []struct {
		descr string
		rows  int
		large bool
	}{
		{"<i2", maxNPY / 2, false}, {"<i2", maxNPY/2 + 1, true}, {"<i8", maxNPY / 8, false}, {"<i8", maxNPY/8 + 1, true}, {"<i4", math.MaxInt32, true},
	} {
		_, err := readNPY(bytes.NewReader(npy.AppendHeader(nil, c.descr, c.rows)))
		if err == nil || strings.Contains(err.Error(), "larger than 256 MiB") != c.large {
			t.Errorf("%d of %s: %v", c.rows, c.descr, err)
		}
	}
}

// TestParquetPages: rows of any length come back, and no page ends inside of one,
// which readers that skip pages by their index rely on.
func TestParquetPages(t *testing.T) {
	v, err := NewVocabulary(model([]int{1024, 600}, 1, 2), 0, VocabularyOptions{Layout: Parallel})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "a.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	w := newParquetWriter(v, file)
	var want [][]int32
	for i, n := range []int{0, 2, rowPiece - 2, rowPiece, rowPiece + 2, 5 * rowPiece, 2 * pageIDs, 4, rowGroup, 6} {
		ids := make([]int32, n)
		for k := range ids {
			ids[k] = int32((k + i) % 600)
		}
		want = append(want, ids)
		if err := w.Write(&Utterance{ID: fmt.Sprint(i), Samples: 900, SampleRate: 16000, Sequence: Sequence{IDs: ids, Width: 2}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(file.Name(), v)
	if err != nil {
		t.Fatal(err)
	}
	for i, ids := range want {
		if u, err := r.Next(); err != nil || u.ID != fmt.Sprint(i) || !slices.Equal(u.Sequence.IDs, ids) {
			t.Fatalf("row %d of %d ids: %v", i, len(ids), err)
		}
	}
	r.Close()
	again, err := os.Open(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	st, err := again.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(again, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for _, g := range f.RowGroups() {
		index, err := g.ColumnChunks()[0].OffsetIndex()
		if err != nil {
			t.Fatal(err)
		}
		for i := range index.NumPages() {
			if pages++; i > 0 && index.FirstRowIndex(i) <= index.FirstRowIndex(i-1) {
				t.Errorf("page %d goes on with row %d", i, index.FirstRowIndex(i))
			}
		}
	}
	if len(f.RowGroups()) != 2 || pages != 4 {
		t.Errorf("%d pages in %d row groups", pages, len(f.RowGroups()))
	}
}
