package whisper

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/internal/backend"
)

// alignmentHeads are those of published models, and all of the second half of the
// decoder's layers of others.
func alignmentHeads(d dims) [][2]int {
	if heads, ok := knownHeads[[3]int{d.Vocabulary, d.TextLayers, d.TextHeads}]; ok {
		return heads
	}
	var heads [][2]int
	for l := d.TextLayers / 2; l < d.TextLayers; l++ {
		for h := range d.TextHeads {
			heads = append(heads, [2]int{l, h})
		}
	}
	return heads
}

// timedWord is a word with its times in seconds.
type timedWord struct {
	tokenWord
	start, end  float64
	probability float64
}

// align finds when the words of a text are said in the states that r has listened
// to, of which count hold sound: the path of dynamic time warping through the
// attention that the tokens pay to the states, averaged over the alignment heads,
// normalised over the tokens and smoothed by a median of 7 states.
func (m *Model) align(r *decoding, text []int32, o *decodeOptions, count int) []timedWord {
	t := m.tokenizer
	spaces := !t.Multilingual() || !unspaced[languages[o.language].code]
	words := t.words(append(text[:len(text):len(text)], t.eot), spaces)
	if len(words) <= 1 || count == 0 {
		return nil
	}
	sequence := t.sequence(o.language, o.translate)
	tokens := append(append(append(slices.Clone(sequence), t.noTimestamps), text...), t.eot)
	rows := len(text) + 1 // from the one that predicts the first token of the text
	first := len(sequence)

	sum := make([]float32, rows*count)
	r.reset()
	r.scores = func(layer int, q *backend.Tensor) {
		for _, head := range m.alignment {
			if head[0] == layer {
				m.addAttention(sum, r, layer, head[1], q, first, count)
			}
		}
	}
	y := r.step(tokens, len(tokens))
	r.scores = nil
	probabilities := make([]float64, len(text))
	for i := range text {
		x := r.predict(r.stream.Rows(y, first+i, first+i+1)).Row(0)[:t.eot]
		probabilities[i] = math.Exp(float64(x[text[i]]) - logSumExp(x))
	}
	cost := make([]float64, len(sum))
	for i, v := range sum {
		cost[i] = float64(-float32(v / float32(len(m.alignment))))
	}
	at := warp(cost, rows, count)

	out := make([]timedWord, len(words)-1)
	n := 0
	for i, w := range words[:len(words)-1] {
		end := n + len(w.tokens)
		mean := 0.0
		for _, p := range probabilities[n:end] {
			mean += p
		}
		out[i] = timedWord{w, float64(at[n]) / statesPerSecond, float64(at[end]) / statesPerSecond, mean / float64(end-n)}
		n = end
	}
	return out
}

const statesPerSecond = SampleRate / stepSamples

// addAttention adds what one head pays attention to, from row first of the queries
// on but for the last one.
func (m *Model) addAttention(sum []float32, r *decoding, layer, head int, q *backend.Tensor, first, count int) {
	b := r.blocks[layer]
	d := r.width / b.cross.heads
	keys := make([]float32, count*d)
	r.stream.Wait()
	for i := range count {
		copy(keys[i*d:(i+1)*d], r.keys[layer].Row(i)[head*d:])
	}
	n := q.Rows
	x := make([]float32, n*count)
	queries := &backend.Tensor{Rows: n, Cols: d, Stride: q.Stride, Data: q.Data[head*d:]}
	m.backend.MatMul(backend.Host(x, n, count), queries, m.backend.PackT(keys, count, d), backend.Epilogue{})
	scale := b.cross.scale()
	for i := range n {
		row := x[i*count : (i+1)*count]
		for j := range row {
			row[j] *= scale
		}
		norm := logSumExp(row)
		for j := range row {
			row[j] = float32(math.Exp(float64(row[j]) - norm))
		}
	}
	for j := range count {
		var mean, square float64
		for i := range n {
			mean += float64(x[i*count+j])
		}
		mean /= float64(n)
		for i := range n {
			v := float64(x[i*count+j]) - mean
			square += float64(v * v)
		}
		deviation := math.Sqrt(square / float64(n))
		for i := range n {
			x[i*count+j] = float32((float64(x[i*count+j]) - mean) / deviation)
		}
	}
	for i := range len(sum) / count {
		for j, v := range median(x[(first+i)*count : (first+i+1)*count]) {
			sum[i*count+j] += v
		}
	}
}

// median is the running median of 7, mirrored at the ends.
func median(x []float32) []float32 {
	const reach = 3
	n := len(x)
	if n <= reach {
		return x
	}
	out := make([]float32, n)
	var near [2*reach + 1]float32
	for i := range x {
		for k := range near {
			j := i + k - reach
			if j < 0 {
				j = -j
			}
			if j >= n {
				j = 2*n - 2 - j
			}
			near[k] = x[j]
		}
		slices.Sort(near[:])
		out[i] = near[reach]
	}
	return out
}

// warp is dynamic time warping: the cheapest path through a matrix of costs [n, m]
// from corner to corner by steps down, right or both. It gives the column where
// the path enters each row.
func warp(cost []float64, n, m int) []int {
	const both, down, right = 0, 1, 2
	inf := float32(math.Inf(1))
	width := m + 1
	total := make([]float32, (n+1)*width)
	step := make([]byte, len(total))
	for i := range total {
		total[i] = inf
	}
	total[0] = 0
	for i := 1; i <= n; i++ {
		for j := 1; j <= m; j++ {
			b, d, r := total[(i-1)*width+j-1], total[(i-1)*width+j], total[i*width+j-1]
			c, s := r, byte(right)
			if b < d && b < r {
				c, s = b, both
			} else if d < b && d < r {
				c, s = d, down
			}
			total[i*width+j] = float32(cost[(i-1)*m+j-1] + float64(c))
			step[i*width+j] = s
		}
	}
	for j := range width {
		step[j] = right
	}
	for i := 1; i <= n; i++ {
		step[i*width] = down
	}
	at := make([]int, n)
	for i, j := n, m; i > 0 || j > 0; {
		if i > 0 {
			at[i-1] = j - 1 // the last one to be seen is the first of the row
		}
		switch step[i*width+j] {
		case both:
			i, j = i-1, j-1
		case down:
			i--
		default:
			j--
		}
	}
	return at
}

// Signs that belong to the word after and to the word before them.
const (
	opening = "\"'“¿([{-"
	closing = "\"'.。,，!！?？:：”)]}、"
)

// mergePunctuation joins signs that stand alone to the words beside them; the
// places that they leave are empty.
func mergePunctuation(words []timedWord) {
	j := len(words) - 1
	for i := len(words) - 2; i >= 0; i-- {
		before, after := &words[i], &words[j]
		if strings.HasPrefix(before.text, " ") && strings.Contains(opening, strings.TrimSpace(before.text)) {
			after.text = before.text + after.text
			after.tokens = append(slices.Clone(before.tokens), after.tokens...)
			before.text, before.tokens = "", nil
		} else {
			j = i
		}
	}
	i := 0
	for j := 1; j < len(words); j++ {
		before, after := &words[i], &words[j]
		if !strings.HasSuffix(before.text, " ") && strings.Contains(closing, after.text) {
			before.text += after.text
			before.tokens = append(slices.Clone(before.tokens), after.tokens...)
			after.text, after.tokens = "", nil
		} else {
			i = j
		}
	}
}

// wordTimes gives the segments of one window their words. offset is the time of
// the window's start, spoken that of the last word before it.
func (m *Model) wordTimes(r *decoding, segments []Segment, o *decodeOptions, count int, offset, spoken float64) {
	t := m.tokenizer
	var text []int32
	lengths := make([]int, len(segments))
	for i, s := range segments {
		for _, token := range s.Tokens {
			if token < t.eot {
				text = append(text, token)
				lengths[i]++
			}
		}
	}
	words := m.align(r, text, o, count)
	usual := min(0.7, medianDuration(words))
	longest := 2 * usual
	if usual > 0 {
		const ends = ".。!！?？"
		for i := 1; i < len(words); i++ {
			if words[i].end-words[i].start <= longest {
				continue
			}
			if strings.Contains(ends, words[i].text) {
				words[i].end = words[i].start + longest
			} else if strings.Contains(ends, words[i-1].text) {
				words[i].start = words[i].end - longest
			}
		}
	}
	mergePunctuation(words)
	for i := range segments {
		s := &segments[i]
		saved := 0
		for len(words) > 0 && saved < lengths[i] {
			w := words[0]
			if w.text != "" {
				s.Words = append(s.Words, Word{w.text, hundredths(offset + w.start), hundredths(offset + w.end), w.probability})
			}
			saved += len(w.tokens)
			words = words[1:]
		}
		if len(s.Words) > 0 {
			s.fit(usual, longest, spoken)
			spoken = s.End
		}
	}
}

// fit shortens words after a pause that are much longer than usual, and brings the
// segment's own times and those of its words together.
func (s *Segment) fit(usual, longest, spoken float64) {
	w := s.Words
	first, last := &w[0], &w[len(w)-1]
	if first.End-spoken > 4*usual &&
		(first.End-first.Start > longest || len(w) > 1 && w[1].End-first.Start > 2*longest) {
		if len(w) > 1 && w[1].End-w[1].Start > longest {
			border := max(w[1].End/2, w[1].End-longest)
			first.End, w[1].Start = border, border
		}
		first.Start = max(0, first.End-longest)
	}
	if s.Start < first.End && s.Start-0.5 > first.Start {
		first.Start = max(0, min(first.End-usual, s.Start))
	} else {
		s.Start = first.Start
	}
	if s.End > last.Start && s.End+0.5 < last.End {
		last.End = max(last.Start+usual, s.End)
	} else {
		s.End = last.End
	}
}

func medianDuration(words []timedWord) float64 {
	var d []float64
	for _, w := range words {
		if w.end != w.start {
			d = append(d, w.end-w.start)
		}
	}
	if len(d) == 0 {
		return 0
	}
	slices.SortFunc(d, cmp.Compare[float64])
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}

func hundredths(x float64) float64 { return math.RoundToEven(x*100) / 100 }

// Align gives the words of a text their times in a recording of up to 30 s, by the
// attention that a model pays while it reads the text.
func (m *Model) Align(pcm []float32, text, language string) (_ []Word, err error) {
	defer backend.Recover(&err)
	if err := m.ready(); err != nil {
		return nil, err
	}
	o := decodeOptions{}
	if o.language, err = m.language(language); err != nil {
		return nil, err
	}
	tokens := m.tokenizer.Encode(" " + strings.TrimSpace(text))
	if len(tokens)+8 > m.dims.TextContext || len(pcm) > windowFrames*hop {
		return nil, errors.New("whisper: the text or the recording is too long to be aligned: 30 s is the most")
	}
	t, err := m.transcriber(Options{Temperatures: []float64{0}, Language: languages[o.language].code})
	if err != nil {
		return nil, err
	}
	t.push(pcm)
	t.finish()
	frames := len(pcm) / hop
	t.listen(frames)
	words := m.align(t.decoding, tokens, &o, frames/framesPerStep)
	mergePunctuation(words)
	var out []Word
	for _, w := range words {
		if w.text != "" {
			out = append(out, Word{w.text, w.start, w.end, w.probability})
		}
	}
	return out, nil
}
