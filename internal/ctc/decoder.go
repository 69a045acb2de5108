// Package ctc turns rows of log-probabilities of a connectionist temporal
// classification network (Graves et al. 2006) into words while the rows arrive:
// prefix beam search (Hannun et al. 2014) with a language model by shallow
// fusion, words that are committed once and never change, their times and
// confidences, and endpoints at pauses.
//
// Every decision depends on the rows alone, never on how they were split.
package ctc

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sotto-audio/sotto/asr"
)

// LM scores words or characters. A context is a value that the model gives.
type LM interface {
	// Start is the context at the begin of a sentence.
	Start() Context
	// Score gives the natural-log probability of a unit after a context, and the
	// context that follows.
	Score(Context, string) (Context, float64)
	// End is the natural-log probability of the end of a sentence.
	End(Context) float64
	// Characters says that units are single characters, the space among them,
	// and not words.
	Characters() bool
	// Known says whether a unit is in the vocabulary, Prefix whether one begins
	// so.
	Known(string) bool
	Prefix(string) bool
}

// Context is a state of a language model.
type Context int32

// Config describes the rows and how to search them.
type Config struct {
	// Symbols are the characters of the columns from 1 on; column 0 is blank.
	// One of them is a space.
	Symbols string
	// Period is the time of a row, Start that of row 0 in the stream; both may be
	// changed by a constant that makes up for the habits of a network: words begin
	// BeginShift and end EndShift later than their peaks.
	Period, Start        time.Duration
	BeginShift, EndShift time.Duration

	Beam      int     // hypotheses kept; 1 is greedy, 0 the default
	Threshold float64 // those less likely than the best by more nats are dropped; 0 for the default

	LM     LM      // nil for none
	Weight float64 // of its log-probabilities
	Bonus  float64 // for each word, or character
	// Letter is added for each letter of a word: a bonus for each word alone prefers
	// many short ones.
	Letter float64
	// Unknown is added for a word that the model does not know.
	Unknown float64

	// Agreement is the share of the hypotheses' probability that must agree on a
	// word before it is committed; MaxDelay commits it without.
	Agreement float64
	MaxDelay  time.Duration
	// Gap is a pause that ends a word, a longer one where the language model does
	// not know the word; Pause is one that ends an utterance.
	Gap, Pause time.Duration
	// MinConfidence drops words that are less certain.
	MinConfidence float64
	// Opening is the certainty that speech is begun with, in letters: words at the
	// begin of an utterance wait until they have it together, or are many, and are
	// dropped where the utterance ends before.
	Opening float64
}

// Defaults of Config, for values that are 0.
const (
	DefaultBeam      = 8
	DefaultThreshold = 14.0
	DefaultAgreement = 0.5
	DefaultMaxDelay  = 200 * time.Millisecond
	DefaultGap       = 200 * time.Millisecond
	DefaultPause     = 800 * time.Millisecond
)

// maxWindow bounds the rows that are kept for words not yet committed: a word
// that is longer is cut.
const maxWindow = 10 * time.Second

// longGap is how many times the gap ends any word.
const longGap = 2

// minSymbol is the log-probability below which a symbol is not tried.
const minSymbol = -9.0

// Decoder holds a stream's state, which is bounded. It is not safe for
// concurrent use.
type Decoder struct {
	cfg   Config
	chars []rune // by column - 1
	space int32  // column
	rows  struct {
		maxDelay, gap, pause, window int
	}

	now    int         // rows seen
	window [][]float32 // rows from first on
	first  int         // row of window[0]
	free   [][]float32 // to be used again

	trie   trie
	active []*node       // hypotheses, best first
	quiet  int           // rows without a symbol, up to now
	open   bool          // words were committed since the last endpoint
	spoken time.Duration // end of the last word that was committed
	held   []asr.Word    // that the utterance began with, not certain enough
	scratch
}

// NewDecoder checks the configuration.
func NewDecoder(cfg Config) (*Decoder, error) {
	d := &Decoder{cfg: cfg, chars: []rune(cfg.Symbols)}
	for i, r := range d.chars {
		if r == ' ' {
			d.space = int32(i + 1)
		}
	}
	if d.space == 0 {
		return nil, fmt.Errorf("ctc: symbols %q have no space", cfg.Symbols)
	}
	if cfg.Period <= 0 {
		return nil, errors.New("ctc: rows take no time: set Period")
	}
	if cfg.Beam < 0 || cfg.Beam > 1000 {
		return nil, fmt.Errorf("ctc: a beam of %d: choose 1 to 1000", cfg.Beam)
	}
	c := &d.cfg
	setDefault(&c.Beam, DefaultBeam)
	setDefault(&c.Threshold, DefaultThreshold)
	setDefault(&c.Agreement, DefaultAgreement)
	setDefault(&c.MaxDelay, DefaultMaxDelay)
	setDefault(&c.Gap, DefaultGap)
	setDefault(&c.Pause, DefaultPause)
	inRows := func(t time.Duration) int { return max(1, int((t+c.Period/2)/c.Period)) }
	d.rows.maxDelay, d.rows.gap, d.rows.pause = inRows(c.MaxDelay), inRows(c.Gap), inRows(max(c.Pause, c.Gap))
	d.rows.window = max(inRows(maxWindow), 2*d.rows.pause)
	d.Reset()
	return d, nil
}

func setDefault[T int | float64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Columns is the width of a row.
func (d *Decoder) Columns() int { return len(d.chars) + 1 }

// Reset makes the decoder ready for a new input.
func (d *Decoder) Reset() {
	d.now, d.first, d.quiet, d.open, d.spoken = 0, 0, 0, false, 0
	d.dropRows(len(d.window))
	d.held = d.held[:0]
	d.restart(d.startContext())
}

func (d *Decoder) startContext() Context {
	if d.cfg.LM == nil {
		return 0
	}
	return d.cfg.LM.Start()
}

// restart begins with the empty prefix.
func (d *Decoder) restart(c Context) {
	d.trie.root = &node{symbol: d.space, context: c, blank: 0, other: math.Inf(-1), total: 0, live: true}
	d.active = append(d.active[:0], d.trie.root)
}

// Push takes rows of natural-log probabilities, [n][Columns], that were known
// when at of the input had arrived (0 where that is not known).
func (d *Decoder) Push(rows []float32, at time.Duration) (asr.Update, error) {
	w := d.Columns()
	if len(rows)%w != 0 {
		return asr.Update{}, fmt.Errorf("ctc: %d values are no whole rows of %d", len(rows), w)
	}
	var u asr.Update
	for ; len(rows) > 0; rows = rows[w:] {
		d.step(rows[:w], &u)
	}
	u.Tentative = d.tentative()
	stamp(u.Committed, at)
	stamp(u.Tentative, at)
	for i := range u.Tentative {
		u.Tentative[i].Emitted = 0
	}
	return u, nil
}

// Flush ends the input: all words are committed.
func (d *Decoder) Flush(at time.Duration) asr.Update {
	var u asr.Update
	d.finish(&u)
	u.Endpoint = d.open
	stamp(u.Committed, at)
	d.open, d.held = false, d.held[:0]
	return u
}

// stamp says when words were known; none ends later.
func stamp(words []asr.Word, at time.Duration) {
	for i := range words {
		w := &words[i]
		w.Emitted = at
		if at > 0 {
			w.Start, w.End = min(w.Start, at), min(w.End, at)
		}
	}
}

// step takes one row.
func (d *Decoder) step(row []float32, u *asr.Update) {
	d.keepRow(row)
	d.extend(row)
	d.now++
	if math.Exp(float64(row[0]))+math.Exp(float64(row[d.space])) > 0.5 {
		d.quiet++
	} else {
		d.quiet = 0
		u.Endpoint = false
	}
	switch d.quiet {
	case d.rows.gap:
		d.endWords(false)
	case longGap * d.rows.gap:
		d.endWords(true)
	}
	switch {
	case d.quiet >= d.rows.gap && d.active[0] == d.trie.root:
		// Nothing is being said: forget guesses and rows.
		d.restart(d.trie.root.context)
		d.dropRows(len(d.window))
	case d.quiet == d.rows.pause, len(d.window) >= d.rows.window:
		d.finish(u)
	default:
		if n := d.agreed(); n != d.trie.root {
			d.commit(n, u)
		}
	}
	if d.quiet == d.rows.pause {
		if d.open {
			u.Endpoint = true
		}
		d.open, d.held = false, d.held[:0]
		d.restart(d.startContext())
		d.dropRows(len(d.window))
	}
}

// finish commits all words of the likeliest hypothesis.
func (d *Decoder) finish(u *asr.Update) {
	d.endWords(true)
	best, score := d.active[0], math.Inf(-1)
	for _, n := range d.active {
		s := n.total
		if d.cfg.LM != nil {
			s += d.cfg.Weight * d.cfg.LM.End(n.context)
		}
		if s > score {
			best, score = n, s
		}
	}
	d.active = append(d.active[:0], best)
	d.commit(best, u)
	d.restart(d.trie.root.context)
	d.dropRows(len(d.window))
}

// agreed is the last end of a word that enough of the probability agrees on, or
// that has waited long enough in the best hypothesis; else the root.
func (d *Decoder) agreed() *node {
	best := d.active[0]
	ended := false
	for n := best; n != d.trie.root; n = n.parent {
		ended = ended || n.symbol == d.space
	}
	if !ended {
		return d.trie.root
	}
	// The probability that hypotheses give to each begin of the best one.
	for n := best; n != nil; n = n.parent {
		n.mass, n.onBest = 0, d.now
	}
	var total float64
	for _, a := range d.active {
		p := math.Exp(a.total - best.total)
		total += p
		n := a
		for n.onBest != d.now {
			n = n.parent
		}
		n.mass += p
	}
	for n := best; n != d.trie.root; n = n.parent {
		n.parent.mass += n.mass
	}
	for n := best; n != d.trie.root; n = n.parent {
		if n.symbol == d.space && (n.mass >= d.cfg.Agreement*total || d.now-n.born > d.rows.maxDelay) {
			return n
		}
	}
	return d.trie.root
}

// commit gives the words from the root to n, which becomes the root; hypotheses
// that disagree are dropped.
func (d *Decoder) commit(n *node, u *asr.Update) {
	best := d.active[0]
	words, end := d.align(best, n)
	if len(words) > 0 {
		d.spoken = words[len(words)-1].End
	}
	for _, w := range words {
		if w.Confidence >= d.cfg.MinConfidence {
			d.give(w, u)
		}
	}
	d.dropRows(end - d.first)
	kept := d.active[:0]
	for _, a := range d.active {
		if a.within(n) {
			kept = append(kept, a)
		}
	}
	d.active = kept
	d.trie.root = n
	n.parent = nil
}

// patience is the number of words that an utterance is held back for, at most.
const patience = 8

// doubt is the confidence at which a word says nothing for there being speech.
const doubt = 0.7

// certainty is what a word says for there being speech at all: its letters times how
// far they are above doubt, 1 where they are sure. A letter that music sounds like says
// little, however sure it is.
func certainty(w asr.Word) float64 {
	return float64(utf8.RuneCountInString(w.Text)) * max(0, (w.Confidence-doubt)/(1-doubt))
}

// give commits a word, or holds it back at the begin of an utterance.
func (d *Decoder) give(w asr.Word, u *asr.Update) {
	if !d.open {
		d.held = append(d.held, w)
		var sum float64
		for _, h := range d.held {
			sum += certainty(h)
		}
		if sum < d.cfg.Opening && len(d.held) < patience {
			return
		}
		u.Committed = append(u.Committed, d.held...)
		d.held, d.open = d.held[:0], true
		return
	}
	u.Committed = append(u.Committed, w)
}

// tentative are the words of the best hypothesis that are not committed.
func (d *Decoder) tentative() []asr.Word {
	best := d.active[0]
	words := slices.Clone(d.held)
	if best != d.trie.root {
		more, _ := d.align(best, best)
		words = append(words, more...)
	}
	return words
}

func (d *Decoder) keepRow(row []float32) {
	var r []float32
	if k := len(d.free); k > 0 {
		r, d.free = d.free[k-1], d.free[:k-1]
	} else {
		r = make([]float32, d.Columns())
	}
	copy(r, row)
	d.window = append(d.window, r)
}

// dropRows forgets the first n rows of the window.
func (d *Decoder) dropRows(n int) {
	n = max(0, min(n, len(d.window)))
	d.free = append(d.free, d.window[:n]...)
	d.window = append(d.window[:0], d.window[n:]...)
	d.first += n
	if len(d.window) == 0 {
		d.first = d.now
	}
}

// text of a prefix from the root on.
func (d *Decoder) text(n *node) string {
	var b strings.Builder
	for _, s := range n.symbols(d.trie.root, nil) {
		b.WriteRune(d.chars[s-1])
	}
	return b.String()
}
