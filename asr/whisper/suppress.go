package whisper

import (
	"slices"
	"strings"
)

// notSpeech lists the tokens of signs that annotate rather than write what is
// said, as in "♪♪", "(SPEAKING FOREIGN LANGUAGE)" or "[NAME] hello": those that
// are one token alone or after a space, and the first of the musical ones, which
// share their first bytes.
func (t *Tokenizer) notSpeech() []int32 {
	signs := strings.Split(`"#()*+/:;<=>@[\]^_`+"`{|}~「」『』", "")
	signs = append(signs, strings.Fields(`<< >> <<< >>> -- --- -( -[ (' (" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪`)...)
	music := strings.Split("♩♪♫♬♭♮♯", "")
	// A word may hold a hyphen or an apostrophe, but does not begin with one.
	found := []int32{t.Encode(" -")[0], t.Encode(" '")[0]}
	for i, sign := range append(signs, music...) {
		for _, text := range []string{sign, " " + sign} {
			if tokens := t.Encode(text); len(tokens) == 1 || i >= len(signs) {
				found = append(found, tokens[0])
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
