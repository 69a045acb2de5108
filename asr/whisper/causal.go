package whisper

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/backend"
)

// Constants of causal decoding.
const (
	lookBack   = 2  // tokens that are scored again when more is heard
	mostTokens = 28 // new ones in a chunk
	carried    = 64 // tokens of context that a new start of the encoder is shown
	// silenceDB is the level of the loudest sample of a chunk that is not decoded.
	silenceDB = -70
	// pause ends an utterance: so many positions (0.8 s) of quiet, 40 dB below the
	// loudest band so far, or twice as many without new words.
	pause      = 40
	quietBels  = 4
	detectFrom = 50 // positions that tell the language
)

// causal recognises while it hears (arXiv:2508.12301). Every chunk of positions is
// encoded once, when it is there, and sees itself and what came before; then the
// last tokens are scored again, and the text goes on from the last one that the new
// sound does not speak against. When the encoder has no more places it starts
// again, shown the text so far as context.
type causal struct {
	*Model
	options  asr.Options
	chunk    int // positions
	startup  int // further chunks that the first one of a start waits for
	beam     int
	pause    int     // positions
	silence  float32 // of the loudest sample
	bands    melStream
	top      float32 // loudest band of all frames so far
	encoding *encoding
	decoding *decoding
	rules    *rules
	language int
	detected bool

	initial []int32 // what the decoder reads before the text
	context []int32 // text before the encoder's start
	text    []token // since the encoder's start
	settled int     // tokens of text that do not change
	read    int     // of them, taken into words
	line    []token // settled tokens whose word is not whole
	base    int     // positions before the encoder's start

	samples int       // heard
	peaks   []float32 // loudest sample of each position that is not encoded
	peak    float32
	quiet   int  // positions since the last one that was not
	changed int  // position at which the text last changed
	spoken  bool // words since the last pause
	heard   bool // something that is not silence, since the encoder's start
	update  asr.Update

	// observe, if not nil, is called after each chunk, and before a new start.
	observe func(restart bool)
}

// token is one of the text.
type token struct {
	id      int32
	logProb float32 // when it was scored last
	heard   int     // positions when it was first found
}

func (m *Model) causal(o asr.Options, chunk, startup int) (_ *causal, err error) {
	defer backend.Recover(&err)
	if m.dims.TextContext < 2*(carried+mostTokens) || (1+startup)*chunk > m.dims.AudioContext {
		return nil, fmt.Errorf("whisper: contexts of %d and %d are too short for a stream", m.dims.AudioContext, m.dims.TextContext)
	}
	if err := m.ready(); err != nil {
		return nil, err
	}
	c := &causal{
		Model: m, options: o, chunk: chunk, startup: startup, beam: max(o.Beam, 1), pause: pause, silence: float32(math.Pow(10, silenceDB/20.)),
		bands: melStream{melBands: m.mel}, encoding: m.encoder.start(m.backend),
		rules: m.rules(false),
	}
	c.decoding = m.decoder.start(m.backend, c.beam, m.dims.AudioContext)
	c.language, err = m.language(o.Language)
	c.Reset()
	return c, err
}

// Reset makes ready for another recording.
func (c *causal) Reset() {
	c.bands.reset()
	c.encoding.reset()
	c.decoding.deafen()
	c.top, c.detected = never, c.options.Language != "" || !c.tokenizer.Multilingual()
	c.context, c.text, c.line = nil, nil, nil
	c.settled, c.read, c.base, c.samples, c.quiet, c.changed = 0, 0, 0, 0, 0, 0
	c.peaks, c.peak, c.spoken, c.heard, c.update = c.peaks[:0], 0, false, false, asr.Update{}
	c.begin()
}

// begin is what the decoder reads first after a start of the encoder.
func (c *causal) begin() {
	o := decodeOptions{language: c.language, translate: c.options.Translate, prompt: c.context}
	c.initial, _ = c.tokenizer.initial(&o, c.dims.TextContext)
}

// Push takes samples.
func (c *causal) Push(pcm []float32) (_ asr.Update, err error) {
	defer backend.Recover(&err)
	for _, v := range pcm {
		c.peak = max(c.peak, v, -v)
		if c.samples++; c.samples%stepSamples == 0 {
			c.peaks = append(c.peaks, c.peak)
			c.peak = 0
		}
	}
	c.hear(pcm)
	c.run()
	return c.take(), nil
}

// Flush lets silence follow and settles all.
func (c *causal) Flush() (_ asr.Update, err error) {
	defer backend.Recover(&err)
	if c.samples%stepSamples != 0 {
		c.peaks = append(c.peaks, c.peak)
	}
	for left := len(c.peaks); left > 0; left = len(c.peaks) {
		n := c.next()
		for range n - left {
			c.peaks = append(c.peaks, 0)
		}
		for len(c.encoding.mel) < (2*(c.encoding.done+n)+1)*c.dims.Mels {
			c.hear(make([]float32, stepSamples))
		}
		c.run()
	}
	if !c.detected && c.heard {
		c.detect()
		c.decode()
	}
	c.settle(len(c.text))
	c.finishWords(time.Duration(c.samples) * time.Second / SampleRate)
	return c.take(), nil
}

// take gives what changed.
func (c *causal) take() asr.Update {
	u := c.update
	c.update = asr.Update{}
	for _, w := range c.group(append(slices.Clone(c.line), c.text[c.read:]...)) {
		u.Tentative = append(u.Tentative, c.word(w, 0))
	}
	return u
}

// hear computes mel frames of samples, relative to the loudest band so far.
func (c *causal) hear(pcm []float32) {
	at := len(c.encoding.mel)
	c.encoding.mel = c.bands.push(c.encoding.mel, pcm)
	for bands := c.dims.Mels; at < len(c.encoding.mel); at += bands {
		frame := c.encoding.mel[at : at+bands]
		c.top = max(c.top, maximum(frame))
		for i, v := range frame {
			frame[i] = normalise(v, c.top)
		}
	}
}

// next is the number of positions that are encoded next.
func (c *causal) next() int {
	if c.encoding.done == 0 {
		return (1 + c.startup) * c.chunk
	}
	return c.chunk
}

// run encodes and decodes the chunks that are whole.
func (c *causal) run() {
	for {
		n := c.next()
		if c.encoding.done+n > c.dims.AudioContext || len(c.initial)+len(c.text)+mostTokens >= c.dims.TextContext {
			c.restart()
			continue
		}
		if len(c.peaks) < n || len(c.encoding.mel) < (2*(c.encoding.done+n)+1)*c.dims.Mels {
			return
		}
		c.step(n)
	}
}

func (c *causal) step(n int) {
	if c.passOver(n) {
		return
	}
	first := 2 * c.encoding.done * c.dims.Mels
	frames := c.encoding.mel[first : first+2*n*c.dims.Mels]
	silent := maximum(c.peaks[:n]) < c.silence
	c.peaks = c.peaks[:copy(c.peaks, c.peaks[n:])]
	c.decoding.listen(c.encoding.step(n))
	if silent || maximum(frames) < normalise(c.top-quietBels, c.top) {
		c.quiet += n
	} else {
		c.quiet = 0
	}
	c.heard = c.heard || !silent
	if !silent && (c.detected || c.encoding.done >= detectFrom) {
		c.detect()
		c.decode()
	}
	now := c.base + c.encoding.done
	if c.quiet >= c.pause || now-c.changed >= 2*c.pause {
		c.settle(len(c.text))
		c.finishWords(c.input(now))
		c.update.Endpoint = c.spoken
		c.spoken = false
		if c.encoding.done >= c.dims.AudioContext*2/3 {
			c.restart()
		}
	}
}

// passOver leaves out a chunk of silence at a start of the encoder, which
// need not be encoded, and reports whether it was one.
func (c *causal) passOver(n int) bool {
	if c.encoding.done > 0 || len(c.text) > 0 || maximum(c.peaks[:n]) >= c.silence {
		return false
	}
	c.peaks = c.peaks[:copy(c.peaks, c.peaks[n:])]
	c.encoding.mel = c.encoding.mel[:copy(c.encoding.mel, c.encoding.mel[2*n*c.dims.Mels:])]
	c.base += n
	return true
}

// detect finds the language where it is not known.
func (c *causal) detect() {
	if c.detected {
		return
	}
	c.language = likeliest(c.languageProbabilities(c.decoding))
	c.detected = true
	c.decoding.reset()
	c.begin()
}

// restart lets the encoder start again at its first place. The frames that it has
// not seen are kept, and the last words as context.
func (c *causal) restart() {
	c.settle(len(c.text))
	if c.observe != nil {
		c.observe(true)
	}
	now := c.base + c.encoding.done
	c.finishWords(c.input(now))
	for _, t := range c.text {
		c.context = append(c.context, t.id)
	}
	c.context = slices.Clone(c.context[max(len(c.context)-carried, 0):])
	rest := c.encoding.mel[2*c.encoding.done*c.dims.Mels:]
	c.encoding.mel = append(c.encoding.mel[:0], rest...)
	c.encoding.done = 0
	c.base = now
	c.decoding.deafen()
	c.text, c.settled, c.read, c.heard = nil, 0, 0, false
	c.begin()
}

// decode brings the text up to what was heard.
func (c *causal) decode() {
	keep := max(len(c.text)-lookBack, c.settled)
	row := c.rescore(keep)
	cut := len(c.text)
	if c.beam > 1 {
		c.searchOn(row)
	} else {
		c.extend(row)
	}
	if len(c.text) > cut {
		c.changed = c.base + c.encoding.done
		c.spoken = true
	}
	c.settle(len(c.text) - lookBack)
	if c.observe != nil {
		c.observe(false)
	}
}

// rescore reads the tokens from the one before keep on again, and drops the first
// of the others that the new sound speaks against, and all that follow: one that is
// less likely than before and not the likeliest, or not among the likeliest of a
// beam. It gives the logits of the token that follows.
func (c *causal) rescore(keep int) []float32 {
	all := c.all()
	c.decoding.done = min(c.decoding.done, len(c.initial)-1+keep)
	feed := all[c.decoding.done:]
	y := c.decoding.step(feed, len(feed))
	rows := len(c.text) - keep + 1
	logits := c.decoding.predict(c.decoding.stream.Rows(y, y.Rows-rows, y.Rows))
	for i := keep; i <= len(c.text); i++ {
		x := logits.Row(i - keep)
		c.allow(x, i)
		if i == len(c.text) {
			break
		}
		t := &c.text[i]
		p := float32(float64(x[t.id]) - logSumExp(x))
		if p < t.logProb && !slices.Contains(largest(x, c.beam), t.id) {
			c.text = c.text[:i]
			break
		}
		t.logProb = p
	}
	c.decoding.done = len(c.initial) + len(c.text)
	return logits.Row(len(c.text) - keep)
}

// all is what the decoder reads: the beginning and the text.
func (c *causal) all() []int32 {
	all := slices.Clone(c.initial)
	for _, t := range c.text {
		all = append(all, t.id)
	}
	return all
}

// allow leaves what may follow n tokens of text: text, or its end.
func (c *causal) allow(x []float32, n int) {
	for _, t := range c.rules.suppressed {
		x[t] = never
	}
	for i := c.tokenizer.noTimestamps; int(i) < len(x); i++ {
		x[i] = never
	}
	if n == 0 {
		x[c.rules.blank[0]] = never // a space
	}
}

// extend adds the likeliest tokens up to the end of the text.
func (c *causal) extend(x []float32) {
	for range mostTokens {
		next := argmax(x)
		if next == c.tokenizer.eot {
			return
		}
		c.add(next, float32(float64(x[next])-logSumExp(x)))
		x = c.decoding.predict(c.decoding.step([]int32{next}, 1)).Row(0)
		c.allow(x, len(c.text))
	}
}

func (c *causal) add(id int32, logProb float32) {
	c.text = append(c.text, token{id, logProb, c.base + c.encoding.done})
}

// searchOn adds the tokens that a beam finds.
func (c *causal) searchOn(x []float32) {
	r := c.decoding
	start := r.done
	s := search{Model: c.Model, rules: &rules{Tokenizer: c.tokenizer}, options: decodeOptions{beam: c.beam, lengthPenalty: -1}}
	s.start()
	logits := backend.Host(make([]float32, c.beam*len(x)), c.beam, len(x))
	copy(logits.Row(0), x) // the others are not looked at in the first step
	x = logits.Row(0)
	r.rearrange(make([]int, c.beam))
	for n := 1; !s.step(logits) && n < mostTokens; n++ {
		var next []int32
		var sources []int
		for _, h := range s.beams {
			next, sources = append(next, h.tokens[len(h.tokens)-1]), append(sources, h.source)
		}
		r.rearrange(sources)
		logits = r.predict(r.step(next, 1))
		for i := range c.beam {
			c.allow(logits.Row(i), len(c.text)+n)
		}
	}
	found := s.best().tokens
	// Read what was found again, into the first hypothesis, for its scores.
	r.done = start
	for _, id := range found {
		c.add(id, float32(float64(x[id])-logSumExp(x)))
		x = r.predict(r.step([]int32{id}, 1)).Row(0)
		c.allow(x, len(c.text))
	}
}

// settle makes the first n tokens final.
func (c *causal) settle(n int) {
	c.settled = max(c.settled, n)
	c.line = append(c.line, c.text[c.read:c.settled]...)
	c.read = c.settled
	words := c.group(c.line)
	if len(words) < 2 {
		return
	}
	for _, w := range words[:len(words)-1] {
		c.commit(w, c.input(c.base+c.encoding.done))
		c.line = c.line[len(w):]
	}
}

// finishWords commits the word that settled tokens began.
func (c *causal) finishWords(at time.Duration) {
	if len(c.line) > 0 {
		c.commit(c.line, at)
	}
	c.line = nil
}

func (c *causal) commit(w []token, at time.Duration) {
	if word := c.word(w, at); word.Text != "" {
		c.update.Committed = append(c.update.Committed, word)
		c.update.Endpoint = false
	}
}

// group cuts tokens where words begin.
func (c *causal) group(tokens []token) [][]token {
	if len(tokens) == 0 {
		return nil
	}
	ids := make([]int32, len(tokens))
	for i, t := range tokens {
		ids[i] = t.id
	}
	var groups [][]token
	spaces := !unspaced[languages[c.language].code]
	first, at := 0, 0
	for _, w := range c.tokenizer.characters(ids) {
		if at > first && (!spaces || strings.HasPrefix(w.text, " ")) {
			groups = append(groups, tokens[first:at])
			first = at
		}
		at += len(w.tokens)
	}
	return append(groups, tokens[first:])
}

// word makes a word of its tokens: it was said in the chunks in which they were
// found.
func (c *causal) word(w []token, emitted time.Duration) asr.Word {
	ids := make([]int32, len(w))
	p := 0.0
	for i, t := range w {
		ids[i] = t.id
		p += math.Exp(float64(t.logProb))
	}
	at := func(position int) time.Duration {
		return min(time.Duration(position)*time.Second/statesPerSecond, time.Duration(c.samples)*time.Second/SampleRate)
	}
	return asr.Word{
		Text:  strings.TrimSpace(c.tokenizer.Decode(ids)),
		Start: at(max(w[0].heard-c.chunk, 0)), End: at(w[len(w)-1].heard),
		Confidence: p / float64(len(w)), Emitted: emitted,
	}
}

// input is how much had to arrive for so many positions.
func (c *causal) input(positions int) time.Duration {
	return time.Duration(min(positions*stepSamples+half, c.samples)) * time.Second / SampleRate
}
