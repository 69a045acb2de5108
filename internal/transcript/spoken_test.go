package transcript

import (
	"regexp"
	"testing"
)

func TestSpoken(t *testing.T) {
	for in, want := range map[string]string{
		"Typhoid -- did I tell you.":        "typhoid did i tell you",
		"“What’s this?” — said Mr. O'Hara.": "what's this said mister o'hara",
		"'Tis the 21st of March, 1837":      "tis the twenty first of march eighteen thirty seven",
		"In 1805, 1900 and 2004":            "in eighteen oh five nineteen hundred and two thousand four",
		"picture-books, ne-plus-ultra":      "picture books ne plus ultra",
		"$1,250.50 or £1":                   "one thousand two hundred fifty dollars and fifty cents or one pound",
		"3.14 is 50% more; 1,000,000":       "three point one four is fifty percent more one million",
		"the 12th, 20th, 103rd":             "the twelfth twentieth one hundred third",
		"Café & naïve":                      "cafe and naive",
		"4294967296":                        "four billion two hundred ninety four million nine hundred sixty seven thousand two hundred ninety six",
		"1234567890123456789":               "one two three four five six seven eight nine zero one two three four five six seven eight nine",
		"":                                  "",
		"  ' \" - ":                         "",
		"p i t t s b u r g h":               "p i t t s b u r g h",
		"So what happens next ?":            "so what happens next",
		"0 and 00.5":                        "zero and zero point five",
	} {
		if got := Spoken(in); got != want {
			t.Errorf("Spoken(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSpoken(f *testing.F) {
	f.Add("The 3rd of May, £3.50 — 'twas")
	form := regexp.MustCompile(`^([a-z]([a-z']*[a-z])?( [a-z]([a-z']*[a-z])?)*)?$`)
	f.Fuzz(func(t *testing.T, s string) {
		got := Spoken(s)
		if !form.MatchString(got) {
			t.Fatalf("Spoken(%q) = %q", s, got)
		}
		if again := Spoken(got); again != got {
			t.Fatalf("Spoken(%q) = %q", got, again)
		}
	})
}
