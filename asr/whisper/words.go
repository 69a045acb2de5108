package whisper

import (
	"strings"
	"unicode/utf8"
)

// tokenWord is a word as tokens spell it, with the space before it.
type tokenWord struct {
	text   string
	tokens []int32
}

// words splits tokens into words: where a space or a sign begins, or, in
// languages without spaces, wherever characters end.
func (t *Tokenizer) words(tokens []int32, spaces bool) []tokenWord {
	parts := t.characters(tokens)
	if !spaces {
		return parts
	}
	var words []tokenWord
	for _, p := range parts {
		sign := strings.TrimSpace(p.text)
		if len(words) == 0 || p.tokens[0] >= t.eot || strings.HasPrefix(p.text, " ") || strings.Contains(punctuation, sign) {
			words = append(words, p)
			continue
		}
		last := &words[len(words)-1]
		last.text += p.text
		last.tokens = append(last.tokens, p.tokens...)
	}
	return words
}

// punctuation is that of ASCII.
const punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// characters splits tokens at ends of characters. What never becomes a whole
// character counts as one.
func (t *Tokenizer) characters(tokens []int32) []tokenWord {
	full := []rune(t.DecodeSpecial(tokens))
	var parts []tokenWord
	offset := 0 // in runes of full
	start := 0
	for i := range tokens {
		text := t.DecodeSpecial(tokens[start : i+1])
		before, _, broken := strings.Cut(text, string(utf8.RuneError))
		if broken {
			// It is broken in the whole, too, or still to be completed.
			at := offset + utf8.RuneCountInString(before)
			if at >= len(full) || full[at] != utf8.RuneError {
				continue
			}
		}
		parts = append(parts, tokenWord{text, append([]int32(nil), tokens[start:i+1]...)})
		offset += utf8.RuneCountInString(text)
		start = i + 1
	}
	return parts
}
