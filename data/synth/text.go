package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/sotto-audio/sotto/internal/manifest"
	"github.com/sotto-audio/sotto/internal/transcript"
)

// sentence is what is said and how it stands in a transcript.
type sentence struct {
	say  string // with punctuation, numbers in words
	text string // transcript.Spoken
}

// heldRun is the number of words in a row that a text may not share with a
// held-out sentence.
const heldRun = 6

// held knows the sentences of validation and test rows.
type held struct {
	whole map[string]bool // as Spoken gives them
	short []string        // those of 3 words up to heldRun, with a space around
	runs  map[string]bool // of heldRun words
}

func readHeld(manifests []string) (*held, error) {
	h := &held{whole: map[string]bool{}, runs: map[string]bool{}}
	for _, name := range manifests {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		rows, err := manifest.Read(f, "split", "text")
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, r := range rows {
			if s := r.Fields[0]; s == "valid" || s == "test" {
				h.add(transcript.Spoken(r.Fields[1]))
			}
		}
	}
	return h, nil
}

func (h *held) add(text string) {
	if text == "" || h.whole[text] {
		return
	}
	h.whole[text] = true
	w := strings.Fields(text)
	if len(w) >= 3 && len(w) < heldRun {
		h.short = append(h.short, " "+text+" ")
	}
	for _, r := range runs(w) {
		h.runs[r] = true
	}
}

func runs(w []string) (out []string) {
	for i := 0; i+heldRun <= len(w); i++ {
		out = append(out, strings.Join(w[i:i+heldRun], " "))
	}
	return out
}

// has says whether a transcript is a held-out sentence, holds one of at least
// three words, or shares heldRun words in a row with one.
func (h *held) has(text string) bool {
	if h.whole[text] {
		return true
	}
	for _, s := range h.short {
		if strings.Contains(" "+text+" ", s) {
			return true
		}
	}
	for _, r := range runs(strings.Fields(text)) {
		if h.runs[r] {
			return true
		}
	}
	return false
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
func readText(path string, h *held) (out []sentence, dropped int, err error) {
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
		case h.has(s.text):
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
