package ctc

import (
	"math"
	"time"

	"github.com/sotto-audio/sotto/asr"
)

// cell is one step of the alignment: from how many states before it came.
type cell uint8

// align finds the likeliest rows of the prefix best after the root (Viterbi over
// blank, symbol, blank, …; between words at least one row of blank or space) and
// gives the words up to the prefix upto, and the row after the last of these.
func (d *Decoder) align(best, upto *node) (words []asr.Word, end int) {
	var path []*node
	for n := best; n != d.trie.root; n = n.parent {
		// A space at the end may be a pause's, that has no row yet.
		if n != best || n.symbol != d.space {
			path = append(path, n)
		}
	}
	end = d.first
	if len(path) == 0 || len(d.window) == 0 {
		return nil, end
	}
	// States 2i+1 are the symbols, even ones what may come between.
	states := 2*len(path) + 1
	symbol := func(s int) int32 { return path[len(path)-1-s/2].symbol }
	gap := func(s int) bool { // between words, or at the ends
		return s == 0 || s == states-1 || symbol(s-1) == d.space || symbol(s+1) == d.space
	}
	rows := len(d.window)
	if need := rows * states; cap(d.cells) < need {
		d.cells = make([]cell, need)
	}
	cells := d.cells[:rows*states]
	for i := range d.score {
		if cap(d.score[i]) < states {
			d.score[i] = make([]float64, states)
		}
	}
	last, now := d.score[0][:states], d.score[1][:states]
	for s := range last {
		last[s] = math.Inf(-1)
	}
	// Before the first row is the first state, with nothing said.
	last[0] = 0
	for t, row := range d.window {
		filler := value(row[0])
		pause := logAdd(filler, value(row[d.space]))
		for s := range states {
			// A space is a state of its own that takes blanks, too.
			emit := filler
			switch {
			case s%2 == 1 && symbol(s) == d.space:
				emit = pause
			case s%2 == 1:
				emit = value(row[symbol(s)])
			case gap(s):
				emit = pause
			}
			from, step := last[s], cell(0)
			if s > 0 && last[s-1] > from {
				from, step = last[s-1], 1
			}
			if s > 1 && s%2 == 1 && symbol(s) != symbol(s-2) && last[s-2] > from {
				from, step = last[s-2], 2
			}
			now[s] = from + emit
			cells[t*states+s] = step
		}
		last, now = now, last
	}
	s := states - 1
	if last[s-1] > last[s] {
		s--
	}
	if math.IsInf(last[s], -1) {
		// More symbols than rows: share the rows out.
		return d.spread(path, upto)
	}
	// at holds first and last row of each symbol.
	type span struct{ first, last int }
	at := make([]span, len(path))
	for i := range at {
		at[i].first = -1
	}
	for t := rows - 1; t >= 0; t-- {
		if s%2 == 1 {
			p := &at[s/2]
			if p.first < 0 {
				p.last = t
			}
			p.first = t
		}
		s -= int(cells[t*states+s])
	}
	var w word
	for i := range path {
		n := path[len(path)-1-i]
		if n.symbol == d.space {
			words = d.add(words, &w)
		} else if at[i].first >= 0 {
			best := math.Inf(-1)
			for t := at[i].first; t <= at[i].last; t++ {
				best = max(best, value(d.window[t][n.symbol]))
			}
			w.add(d.chars[n.symbol-1], d.first+at[i].first, d.first+at[i].last+1, best)
			end = d.first + at[i].last + 1
		}
		if n == upto {
			break
		}
	}
	return d.add(words, &w), end
}

// word is one being put together.
type word struct {
	text       []rune
	first, end int // rows
	sum        float64
}

func (w *word) add(r rune, first, end int, p float64) {
	if len(w.text) == 0 {
		w.first = first
	}
	w.text, w.end, w.sum = append(w.text, r), end, w.sum+p
}

// add ends the word and gives it its times.
func (d *Decoder) add(words []asr.Word, w *word) []asr.Word {
	if len(w.text) == 0 {
		return words
	}
	at := func(row int, shift time.Duration) time.Duration {
		t := d.cfg.Start + time.Duration(row)*d.cfg.Period + shift
		return max(0, min(t, d.cfg.Start+time.Duration(d.now)*d.cfg.Period))
	}
	begin, end := at(w.first, d.cfg.BeginShift), at(w.end, d.cfg.EndShift)
	begin = max(begin, d.spoken)
	if k := len(words); k > 0 {
		begin = max(begin, words[k-1].End)
	}
	words = append(words, asr.Word{
		Text: string(w.text), Start: begin, End: max(begin, end),
		Confidence: math.Exp(w.sum / float64(len(w.text))),
	})
	*w = word{text: w.text[:0]}
	return words
}

// spread is align where no alignment exists: the words share the rows evenly.
func (d *Decoder) spread(path []*node, upto *node) (words []asr.Word, end int) {
	var w word
	end = d.first
	for i := range path {
		n := path[len(path)-1-i]
		first, last := d.first+i*len(d.window)/len(path), d.first+(i+1)*len(d.window)/len(path)
		if n.symbol == d.space {
			words = d.add(words, &w)
		} else {
			w.add(d.chars[n.symbol-1], first, max(last, first+1), floor)
			end = max(last, first+1)
		}
		if n == upto {
			break
		}
	}
	return d.add(words, &w), end
}
