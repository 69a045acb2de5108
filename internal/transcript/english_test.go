package transcript

import (
	"os"
	"strings"
	"testing"
)

func TestEqualsTheUsualNormalizer(t *testing.T) {
	b, err := os.ReadFile("testdata/english/normalized.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		in, want, _ := strings.Cut(line, "\t")
		n++
		if got := English(in, false); got != want {
			t.Errorf("%q\n  gives %q\n  usual %q", in, got, want)
		}
	}
	if n < 200 {
		t.Errorf("%d sentences", n)
	}
}

// Where the usual normaliser puts together what was not said together, this one
// does not.
func TestEnglish(t *testing.T) {
	for in, want := range map[string]string{
		"twenty million dollars, five cents": "$20000000 ¢5",
		"one and a half":                     "one and a half",
		"you & me":                           "you and me",
		"minus five":                         "minus 5",
		"":                                   "",
		"...":                                "",
	} {
		if got := English(in, false); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"One five, two; it's NOT 15!": "one five two it is not 15",
		"erase o t six":               "erase o t six",
	} {
		if got := English(in, true); got != want {
			t.Errorf("raw %q: %q, want %q", in, got, want)
		}
	}
}

func FuzzEnglish(f *testing.F) {
	f.Add("twenty one million and five dollars, double o seven point five percent")
	f.Fuzz(func(t *testing.T, s string) {
		for _, raw := range []bool{false, true} {
			got := English(s, raw)
			if strings.Join(strings.Fields(got), " ") != got {
				t.Fatalf("%q gives %q", s, got)
			}
		}
	})
}
