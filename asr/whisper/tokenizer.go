package whisper

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tokenizer turns text into the tokens of a model and back: the byte pairs of a
// vocabulary, then special tokens, of which the last 1501 are timestamps in steps
// of 20 ms.
type Tokenizer struct {
	vocabulary *vocabulary
	languages  int

	// Special tokens.
	eot, sot, translate, transcribe, startOfLM, startOfPrev, noSpeech, noTimestamps, timestamps int32
}

const timestampTokens = 1501

// NewTokenizer gives the tokenizer of models with that number of tokens: 51864
// for English only, 51865 or more for several languages.
func NewTokenizer(size int) (*Tokenizer, error) {
	t := &Tokenizer{vocabulary: gpt2(), languages: 99}
	if size > 51864 {
		t.vocabulary, t.languages = multilingual(), size-51766
	}
	if size < 51864 || t.languages > len(languages) {
		return nil, fmt.Errorf("whisper: no vocabulary of %d tokens is known: models have 51864, 51865 or 51866", size)
	}
	next := int32(len(t.vocabulary.tokens))
	take := func(n int) int32 { first := next; next += int32(n); return first }
	t.eot = take(1)
	t.sot = take(1)
	take(t.languages)
	t.translate = take(1)
	t.transcribe = take(1)
	t.startOfLM = take(1)
	t.startOfPrev = take(1)
	t.noSpeech = take(1)
	t.noTimestamps = take(1)
	t.timestamps = take(timestampTokens)
	return t, nil
}

// Multilingual reports whether there are tokens for languages and tasks.
func (t *Tokenizer) Multilingual() bool { return t.vocabulary == multilingual() }

// Encode gives the tokens of a text. Special tokens have no text form.
func (t *Tokenizer) Encode(text string) []int32 {
	var tokens []int32
	for text != "" {
		n := firstPiece(text)
		tokens = t.vocabulary.encode(tokens, text[:n])
		text = text[n:]
	}
	return tokens
}

// Decode gives the text of tokens without the special ones. Bytes that form no
// character, as where a character is cut, become U+FFFD.
func (t *Tokenizer) Decode(tokens []int32) string {
	return t.decode(tokens, func(int32) string { return "" })
}

// DecodeSpecial is Decode with special tokens spelled out, such as "<|1.08|>".
func (t *Tokenizer) DecodeSpecial(tokens []int32) string { return t.decode(tokens, t.special) }

func (t *Tokenizer) decode(tokens []int32, special func(int32) string) string {
	var b strings.Builder
	for _, token := range tokens {
		if token < t.eot {
			b.WriteString(t.vocabulary.tokens[token])
		} else {
			b.WriteString(special(token))
		}
	}
	return replaceInvalid(b.String())
}

// special spells a special token.
func (t *Tokenizer) special(token int32) string {
	name := ""
	switch {
	case token >= t.timestamps:
		name = fmt.Sprintf("%.2f", float64(token-t.timestamps)*0.02)
	case token > t.sot && token < t.translate:
		name = languages[token-t.sot-1].code
	default:
		name = map[int32]string{
			t.eot: "endoftext", t.sot: "startoftranscript", t.translate: "translate", t.transcribe: "transcribe",
			t.startOfLM: "startoflm", t.startOfPrev: "startofprev", t.noSpeech: "nospeech", t.noTimestamps: "notimestamps",
		}[token]
	}
	return "<|" + name + "|>"
}

// replaceInvalid puts one U+FFFD in place of each longest beginning of a character
// that is cut, and of each other byte that does not belong (Unicode 16, section
// 3.9, "substitution of maximal subparts").
func replaceInvalid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			n = maximalSubpart(s[i:])
		}
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// maximalSubpart is the length of the longest beginning of s, at least 1, that
// begins some character.
func maximalSubpart(s string) int {
	for n := min(3, len(s)); n > 1; n-- {
		// A beginning of a character can be completed: to three or four bytes,
		// whose last ones may be any continuation.
		for _, tail := range []string{"\x80", "\x80\x80", "\xbf", "\xbf\xbf"} {
			if r, size := utf8.DecodeRuneInString(s[:n] + tail); r != utf8.RuneError && size == n+len(tail) {
				return n
			}
		}
	}
	return 1
}

// firstPiece is the length of the first piece of a text: pieces are what merges do
// not cross. In the notation of regular expressions they are
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func firstPiece(s string) int {
	for _, ending := range []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		if strings.HasPrefix(s, ending) {
			return len(ending)
		}
	}
	skip := 0
	if s[0] == ' ' {
		skip = 1
	}
	for _, class := range []func(rune) bool{unicode.IsLetter, unicode.IsNumber, isOther} {
		if n := run(s[skip:], class); n > 0 {
			return skip + n
		}
	}
	// Space: where something follows, its last character belongs to that.
	n := run(s, unicode.IsSpace)
	if n < len(s) {
		if _, last := utf8.DecodeLastRuneInString(s[:n]); last < n {
			return n - last
		}
	}
	return n
}

func isOther(r rune) bool { return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r) }

// run is the length of what s begins with of one class.
func run(s string, class func(rune) bool) int {
	for i, r := range s {
		if !class(r) {
			return i
		}
	}
	return len(s)
}
