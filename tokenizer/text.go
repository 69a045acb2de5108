package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// AppendText appends a sequence of one stream as text tokens: <|a_123|> for the
// 123rd id from Base on, <|a_bos|> for special ones.
func (v *Vocabulary) AppendText(dst []byte, s Sequence) ([]byte, error) {
	if !v.Layout.single() {
		return dst, fmt.Errorf("tokenizer: layout %s has no form as text: use %s, %s or %s", v.Layout, Flat, Coarse, Units)
	}
	first := int32(v.Special[specials[0]])
	for _, id := range s.IDs {
		dst = append(append(append(dst, "<|"...), v.Prefix...), '_')
		if i := id - first; i >= 0 && int(i) < len(specials) {
			dst = append(dst, specials[i]...)
		} else {
			dst = strconv.AppendInt(dst, int64(id-v.Base), 10)
		}
		dst = append(dst, "|>"...)
	}
	return dst, nil
}

// ParseText is the inverse of AppendText. Space between tokens is ignored.
func (v *Vocabulary) ParseText(text string) (Sequence, error) {
	s := Sequence{Width: 1}
	if !v.Layout.single() {
		return s, fmt.Errorf("tokenizer: layout %s has no form as text", v.Layout)
	}
	open := "<|" + v.Prefix + "_"
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " \t") {
		body, ok := strings.CutPrefix(text, open)
		name, rest, closed := strings.Cut(body, "|>")
		if !ok || !closed {
			return s, fmt.Errorf("tokenizer: token %d: %q is no %s…|>", len(s.IDs), shorten(text), open)
		}
		text = rest
		if i := slices.Index(specials, name); i >= 0 {
			s.IDs = append(s.IDs, int32(v.Special[name]))
			continue
		}
		n, err := strconv.ParseUint(name, 10, 31)
		if err != nil || int(n) >= v.Size-len(specials) {
			return s, fmt.Errorf("tokenizer: token %d: %q is outside of the vocabulary", len(s.IDs), shorten(name))
		}
		s.IDs = append(s.IDs, v.Base+int32(n))
	}
	return s, nil
}

// shorten cuts what an error quotes.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
