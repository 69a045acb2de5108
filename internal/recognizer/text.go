package recognizer

import "strings"

// Spell turns text into what the network writes: lower-case letters and
// apostrophes with single spaces. Punctuation is left out and hyphens are spaces;
// text with digits or other letters has no spelling here.
func Spell(text string) (string, bool) {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r == '\'':
			b.WriteRune(r)
		case r == '’' || r == '‘':
			b.WriteByte('\'')
		case strings.ContainsRune(" \t-–—_/", r):
			b.WriteByte(' ')
		case strings.ContainsRune(".,;:!?\"“”()[]…", r):
		default:
			return "", false
		}
	}
	words := strings.Fields(b.String())
	kept := words[:0]
	for _, w := range words {
		if w = trimQuotes(w); w != "" {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " "), true
}

// trimQuotes removes apostrophes that are quotation marks: those on both sides of
// a word, and before one.
func trimQuotes(w string) string {
	w = strings.TrimLeft(w, "'")
	if strings.Trim(w, "'") == "" {
		return ""
	}
	return w
}

// Labels gives the symbols of a spelling.
func Labels(spelling string) []int32 {
	labels := make([]int32, len(spelling))
	for i := range spelling {
		labels[i] = int32(1 + strings.IndexByte(Symbols, spelling[i]))
	}
	return labels
}

// Text is what symbols spell.
func Text(labels []int32) string {
	b := make([]byte, len(labels))
	for i, l := range labels {
		b[i] = Symbols[l-1]
	}
	return string(b)
}
