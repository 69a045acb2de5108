package whisper

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"
)

// readFixture reads a JSON file of testdata.
func readFixture(t testing.TB, name string, v any) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	if filepath.Ext(name) == ".gz" {
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		d = json.NewDecoder(z)
	}
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

func newTokenizer(t testing.TB, size int) *Tokenizer {
	t.Helper()
	tok, err := NewTokenizer(size)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokensAreThoseOfTheOriginal(t *testing.T) {
	var want struct {
		Texts              []string
		GPT2, Multilingual []uint32
	}
	readFixture(t, "strings.json.gz", &want)
	for _, c := range []struct {
		size int
		crcs []uint32
	}{{51864, want.GPT2}, {51865, want.Multilingual}} {
		tok := newTokenizer(t, c.size)
		different := 0
		for i, text := range want.Texts {
			tokens := tok.Encode(text)
			raw, err := binary.Append(nil, binary.LittleEndian, tokens)
			if err != nil {
				t.Fatal(err)
			}
			if crc32.ChecksumIEEE(raw) != c.crcs[i] {
				if different++; different < 10 {
					t.Errorf("%d: %q became %v", c.size, text, tokens)
				}
			}
			if back := tok.Decode(tokens); back != text {
				t.Errorf("%d: %q came back as %q", c.size, text, back)
			}
		}
		if len(want.Texts) != 10000 || different > 0 {
			t.Errorf("%d: %d of %d texts differ", c.size, different, len(want.Texts))
		}
	}
}

type split struct {
	Tokens []int32
	Split  [2]json.RawMessage
}

func TestSpecialTokensAndWordsAreThoseOfTheOriginal(t *testing.T) {
	var want map[string]struct {
		NotSpeech  []int32 `json:"not_speech"`
		Special    []int32
		Broken     []int32
		BrokenText string `json:"broken_text"`
		Words      split
		Unspaced   split
	}
	readFixture(t, "tokenizer.json", &want)
	for name, size := range map[string]int{"gpt2": 51864, "multilingual": 51865, "v3": 51866} {
		w, tok := want[name], newTokenizer(t, size)
		if got := tok.notSpeech(); !slices.Equal(got, w.NotSpeech) {
			t.Errorf("%s: no speech are %v, want %v", name, got, w.NotSpeech)
		}
		if got := []int32{tok.eot, tok.sot, tok.startOfLM, tok.startOfPrev, tok.noSpeech, tok.noTimestamps, tok.timestamps, tok.translate, tok.transcribe}; !slices.Equal(got, w.Special) {
			t.Errorf("%s: special tokens %v, want %v", name, got, w.Special)
		}
		if got := tok.Decode(w.Broken); got != w.BrokenText {
			t.Errorf("%s: broken characters are shown otherwise", name)
		}
		for _, s := range []struct {
			split
			spaces bool
		}{{w.Words, true}, {w.Unspaced, false}} {
			if s.Tokens == nil {
				continue
			}
			var words []string
			var tokens [][]int32
			if json.Unmarshal(s.Split[0], &words) != nil || json.Unmarshal(s.Split[1], &tokens) != nil {
				t.Fatal("fixture")
			}
			got := tok.words(append(s.Tokens, tok.eot), s.spaces)
			for i, g := range got {
				if i >= len(words) || g.text != words[i] || !slices.Equal(g.tokens, tokens[i]) {
					t.Errorf("%s: word %d is %q of %v", name, i, g.text, g.tokens)
				}
			}
			if len(got) != len(words) {
				t.Errorf("%s: %d words, want %d", name, len(got), len(words))
			}
		}
	}
}

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"Hello, world's  \n end ", "naïve 🙂", "\xff\xfe", "'ll'LL'"} {
		f.Add(s)
	}
	tok := newTokenizer(f, 51865)
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1000 {
			return
		}
		if got := tok.Decode(tok.Encode(s)); utf8.ValidString(s) && got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}
