package transcript

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHeldOutSentencesAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manifest.tsv")
	table := "split\ttext\ntest\tYes.\nvalid\tHe was gone!\nvalid\tThe quick brown fox jumps over the lazy dog.\ntrain\tno\nvalid\t\n"
	if err := os.WriteFile(path, []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHeldOut(path)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"yes":                                 true,
		"no":                                  false,
		"yes yes":                             false, // a single word is held out as a sentence only
		"but he was gone already":             true,
		"he was not gone":                     false,
		"a quick brown fox jumps over it":     false,
		"a brown fox jumps over the lazy cow": true, // six words of it
		"":                                    false,
	} {
		if got := h.Has(text); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
	if (&HeldOut{}).Has("yes") {
		t.Error("nothing is held out by the zero value")
	}
}
