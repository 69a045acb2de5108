// Package transcript deals with what was said as text: the form that recognisers
// are trained on, and the comparison of two transcripts.
package transcript

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Spoken gives English text as a recogniser of lower-case words is trained on
// it: words of the letters a to z and apostrophes, parted by one space. Numbers,
// sums of money, common titles and signs are written out as they are read.
func Spoken(s string) string {
	return strings.Join(words(Expand(s)), " ")
}

// words are the runs of letters and inner apostrophes of s, in lower case.
func words(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && r != '\''
	}) {
		if w = strings.Trim(w, "'"); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// Expand writes numbers, sums of money, common titles and signs of English text
// out in words, and letters with accents without; case and punctuation stay.
func Expand(s string) string {
	if !isPlain(s) {
		s = plain.Replace(s)
	}
	// Most sentences hold neither titles nor numbers, and expressions are slow.
	if hasTitle(s) {
		s = titles.ReplaceAllStringFunc(s, func(m string) string { return titleWords[strings.ToLower(m)] })
	}
	if !strings.ContainsAny(s, "0123456789") {
		return s
	}
	s = money.ReplaceAllStringFunc(s, func(m string) string {
		p := money.FindStringSubmatch(m)
		unit, cents := "dollar", "cent"
		if p[1] == "£" {
			unit, cents = "pound", "penny"
		}
		whole, part, _ := strings.Cut(p[2], ".")
		out := counted(whole, unit)
		if part != "" && strings.Trim(part, "0") != "" {
			out += " and " + counted(part, cents)
		}
		return out
	})
	s = ordinals.ReplaceAllStringFunc(s, func(m string) string {
		return ordinal(Number(strings.ReplaceAll(ordinals.FindStringSubmatch(m)[1], ",", "")))
	})
	return numerals.ReplaceAllStringFunc(s, func(m string) string { return " " + read(m) + " " })
}

// isPlain says that s has nothing to write another way.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] == '&' || s[i] == '%' {
			return false
		}
	}
	return true
}

// hasTitle says whether a full stop of s may belong to a title.
func hasTitle(s string) bool {
	for i := range len(s) {
		if s[i] != '.' {
			continue
		}
		from := i
		for from > 0 && (s[from-1]|0x20 >= 'a' && s[from-1]|0x20 <= 'z') {
			from--
		}
		if i-from <= len("messrs") && titleWords[strings.ToLower(s[from:i+1])] != "" {
			return true
		}
	}
	return false
}

var (
	titles   = regexp.MustCompile(`(?i)\b(mr|mrs|ms|dr|messrs|esq|etc|rev|capt|col|gen|lt|sgt|hon|jr|co)\.`)
	money    = regexp.MustCompile(`([$£])([0-9][0-9,]*(?:\.[0-9]+)?)`)
	ordinals = regexp.MustCompile(`\b([0-9][0-9,]*)(?:st|nd|rd|th)\b`)
	numerals = regexp.MustCompile(`[0-9](?:[0-9,]*[0-9])?(?:\.[0-9]+)?`)
)

var titleWords = map[string]string{
	"mr.": "mister", "mrs.": "missus", "ms.": "miz", "dr.": "doctor", "messrs.": "messieurs",
	"esq.": "esquire", "etc.": "et cetera", "rev.": "reverend", "capt.": "captain", "col.": "colonel",
	"gen.": "general", "lt.": "lieutenant", "sgt.": "sergeant", "hon.": "honorable", "jr.": "junior",
	"co.": "company",
}

var plain = strings.NewReplacer(
	"’", "'", "‘", "'", "“", "\"", "”", "\"", "—", " -- ", "–", " - ", "…", "...", "&", " and ", "%", " percent",
	"½", " and a half", "¼", " and a quarter",
	"á", "a", "à", "a", "â", "a", "ä", "a", "å", "a", "ã", "a", "æ", "ae", "ç", "c", "é", "e", "è", "e", "ê", "e",
	"ë", "e", "í", "i", "ì", "i", "î", "i", "ï", "i", "ñ", "n", "ó", "o", "ò", "o", "ô", "o", "ö", "o", "õ", "o",
	"ø", "o", "œ", "oe", "ß", "ss", "ú", "u", "ù", "u", "û", "u", "ü", "u", "ý", "y",
	"Á", "A", "À", "A", "Â", "A", "Ä", "A", "Å", "A", "Ã", "A", "Æ", "Ae", "Ç", "C", "É", "E", "È", "E", "Ê", "E",
	"Ë", "E", "Í", "I", "Ì", "I", "Î", "I", "Ï", "I", "Ñ", "N", "Ó", "O", "Ò", "O", "Ô", "O", "Ö", "O", "Õ", "O",
	"Ø", "O", "Œ", "Oe", "Ú", "U", "Ù", "U", "Û", "U", "Ü", "U", "Ý", "Y",
)

// counted is "one dollar" or "5 dollars" in words.
func counted(n, unit string) string {
	n = strings.ReplaceAll(n, ",", "")
	if strings.TrimLeft(n, "0") == "1" {
		return "one " + unit
	}
	if unit == "penny" {
		return Number(n) + " pence"
	}
	return Number(n) + " " + unit + "s"
}

// read says a numeral of running text: years in pairs, decimals digit by digit.
func read(m string) string {
	whole, part, decimal := strings.Cut(m, ".")
	year := len(whole) == 4 && whole >= "1100" && whole < "2000" && !decimal && !strings.Contains(whole, ",")
	whole = strings.ReplaceAll(whole, ",", "")
	var out string
	switch {
	case year && whole[2:] == "00":
		out = Number(whole[:2]) + " hundred"
	case year && whole[2] == '0':
		out = Number(whole[:2]) + " oh " + Number(whole[3:])
	case year:
		out = Number(whole[:2]) + " " + Number(whole[2:])
	default:
		out = Number(whole)
	}
	if decimal {
		out += " point " + Digits(part)
	}
	return out
}

// Digits reads the digits of s one by one.
func Digits(s string) string {
	var out []string
	for _, r := range s {
		if unicode.IsDigit(r) && r <= '9' {
			out = append(out, ones[r-'0'])
		}
	}
	return strings.Join(out, " ")
}

// Number reads a string of decimal digits as a cardinal number, in American
// form without "and"; one too long for that is read digit by digit.
func Number(digits string) string {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n >= 1e15 {
		return Digits(digits)
	}
	return cardinal(n)
}

var ones = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
var tens = strings.Fields("- - twenty thirty forty fifty sixty seventy eighty ninety")
var scales = []struct {
	n    uint64
	word string
}{{1e12, "trillion"}, {1e9, "billion"}, {1e6, "million"}, {1000, "thousand"}, {100, "hundred"}}

func cardinal(n uint64) string {
	for _, s := range scales {
		if n >= s.n {
			out := cardinal(n/s.n) + " " + s.word
			if r := n % s.n; r > 0 {
				out += " " + cardinal(r)
			}
			return out
		}
	}
	if n < 20 {
		return ones[n]
	}
	out := tens[n/10]
	if n%10 > 0 {
		out += " " + ones[n%10]
	}
	return out
}

var irregular = map[string]string{
	"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
}

// ordinal turns the words of a cardinal number into those of its ordinal.
func ordinal(c string) string {
	head, last := "", c
	if i := strings.LastIndexByte(c, ' '); i >= 0 {
		head, last = c[:i+1], c[i+1:]
	}
	switch {
	case irregular[last] != "":
		return head + irregular[last]
	case strings.HasSuffix(last, "y"):
		return head + last[:len(last)-1] + "ieth"
	}
	return head + last + "th"
}

// Ordinal reads n as an ordinal number.
func Ordinal(n uint) string { return ordinal(cardinal(uint64(n))) }
