package transcript

import (
	"fmt"
	"os"
	"strings"

	"github.com/sotto-audio/sotto/internal/manifest"
)

// heldRun is the number of words in a row that a text may not share with a
// held-out sentence.
const heldRun = 6

// HeldOut knows sentences of validation and test sets, to keep them out of
// texts that something is trained on. Its zero value knows none.
type HeldOut struct {
	whole map[string]bool // as Spoken gives them
	short []string        // those of 3 words up to heldRun, with a space around
	runs  map[string]bool // of heldRun words
}

// ReadHeldOut collects the texts of rows with split "valid" or "test" of
// manifests, which have the columns split and text.
func ReadHeldOut(manifests ...string) (*HeldOut, error) {
	h := &HeldOut{}
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
				h.Add(r.Fields[1])
			}
		}
	}
	return h, nil
}

// Add holds a sentence out.
func (h *HeldOut) Add(sentence string) {
	text := Spoken(sentence)
	if text == "" || h.whole[text] {
		return
	}
	if h.whole == nil {
		h.whole, h.runs = map[string]bool{}, map[string]bool{}
	}
	h.whole[text] = true
	w := strings.Fields(text)
	if len(w) >= 3 && len(w) < heldRun {
		h.short = append(h.short, " "+text+" ")
	}
	for _, r := range runs(text) {
		h.runs[r] = true
	}
}

// runs gives all heldRun words in a row of a text, as parts of it.
func runs(text string) (out []string) {
	from, words := make([]int, 0, 32), 0
	for i := range len(text) + 1 {
		if i < len(text) && text[i] != ' ' {
			if i == 0 || text[i-1] == ' ' {
				from = append(from, i)
			}
			continue
		}
		if words++; words >= heldRun {
			out = append(out, text[from[words-heldRun]:i])
		}
	}
	return out
}

// Has says whether a text, as Spoken gives it, is a held-out sentence, holds one
// of at least three words, or shares six words in a row with one.
func (h *HeldOut) Has(text string) bool {
	if h.whole[text] {
		return true
	}
	for _, s := range h.short {
		if strings.Contains(" "+text+" ", s) {
			return true
		}
	}
	for _, r := range runs(text) {
		if h.runs[r] {
			return true
		}
	}
	return false
}
