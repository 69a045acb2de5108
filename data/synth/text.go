package main

import (
	"os"
	"regexp"
	"strings"

	"github.com/sotto-audio/sotto/internal/transcript"
)

// sentence is what is said and how it stands in a transcript.
type sentence struct {
	say  string // with punctuation, numbers in words
	text string // transcript.Spoken
}

var (
	gutenbergStart = regexp.MustCompile(`(?m)^\*\*\* ?START OF TH(E|IS) PROJECT GUTENBERG.*$`)
	gutenbergEnd   = regexp.MustCompile(`(?m)^(\*\*\* ?END OF TH(E|IS) PROJECT GUTENBERG|End of (the )?Project Gutenberg).*$`)
	prompt         = regexp.MustCompile(`^\( *\S+ +"(.*)" *\)$`)
	verse          = regexp.MustCompile(`^[0-9]?[A-Z][A-Za-z]*[0-9]+:[0-9]+ (.*)$`)
	sentenceEnd    = regexp.MustCompile(`([.!?]["')\]]*)\s+(["'(]*[A-Z])`)
)

// readText gives the sentences of a text file without those that are held out,
// and how many these were. The format is found by looking.
func readText(path string, h *transcript.HeldOut) (out []sentence, dropped int, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(b), "\ufeff"), "\r", "")
	var parts []string
	if at := gutenbergStart.FindStringIndex(text); at != nil {
		text = text[at[1]:]
		if end := gutenbergEnd.FindStringIndex(text); end != nil {
			text = text[:end[0]]
		}
		for _, p := range strings.Split(text, "\n\n") {
			p = strings.ReplaceAll(strings.Join(strings.Fields(p), " "), "_", "")
			parts = append(parts, strings.Split(sentenceEnd.ReplaceAllString(p, "$1\n$2"), "\n")...)
		}
	} else {
		for _, line := range strings.Split(text, "\n") {
			if f := strings.Split(line, "|"); len(f) == 3 {
				line = f[2]
			} else if m := prompt.FindStringSubmatch(line); m != nil {
				line = m[1]
			} else if m := verse.FindStringSubmatch(line); m != nil {
				line = m[1]
			}
			parts = append(parts, line)
		}
	}
	seen := map[string]bool{}
	for _, p := range parts {
		s := sentence{strings.TrimSpace(transcript.Expand(p)), transcript.Spoken(p)}
		switch {
		case s.text == "" || seen[s.text] || strings.ToUpper(p) == p:
		case h.Has(s.text):
			dropped++
		default:
			seen[s.text] = true
			out = append(out, s)
		}
	}
	return out, dropped, nil
}

// speakable are the sentences that make an utterance of common length.
func speakable(all []sentence) (out []sentence) {
	for _, s := range all {
		if n := len(strings.Fields(s.text)); n >= 3 && len(s.text) < 160 {
			out = append(out, s)
		}
	}
	return out
}

// properNames are the words of the texts that stand with a capital within
// sentences and never without, for spelling.
func properNames(all []sentence) (out []string) {
	upper, lower, order := map[string]int{}, map[string]bool{}, []string{}
	for _, s := range all {
		for i, w := range strings.Fields(s.say) {
			w = strings.Trim(w, ".,;:!?\"'()-")
			low := strings.ToLower(w)
			switch {
			case len(w) < 3 || len(w) > 12 || strings.ContainsAny(w, "'-."):
			case w == low:
				lower[low] = true
			case i > 0:
				if upper[low] == 0 {
					order = append(order, low)
				}
				upper[low]++
			}
		}
	}
	for _, w := range order {
		if upper[w] >= 2 && !lower[w] && transcript.Spoken(w) == w {
			out = append(out, w)
		}
	}
	return out
}
