package recognizer

import "strings"

// Labels gives the symbols of a text, false where one of its characters is none.
func Labels(text string) (labels []int32, ok bool) {
	labels = make([]int32, len(text))
	for i := range text {
		labels[i] = int32(1 + strings.IndexByte(Symbols, text[i]))
		if labels[i] == 0 {
			return nil, false
		}
	}
	return labels, true
}

// Text is what symbols spell.
func Text(labels []int32) string {
	b := make([]byte, len(labels))
	for i, l := range labels {
		b[i] = Symbols[l-1]
	}
	return string(b)
}
