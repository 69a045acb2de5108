package whisper

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/internal/backend"
)

// decodeOptions choose how a window of 30 s is decoded.
type decodeOptions struct {
	language      int // place in the tokenizer's list
	translate     bool
	timestamps    bool
	temperature   float64 // 0 takes the likeliest
	beam          int     // hypotheses at temperature 0; 1 or less is greedy
	patience      float64 // hypotheses to finish, in beams; 0 is 1
	lengthPenalty float64 // of Wu et al. 2016, α; negative divides by the length
	bestOf        int     // samples at other temperatures
	most          int     // tokens to sample; 0 is half of the context
	prompt        []int32 // text before
	prefix        []int32 // beginning of the text
}

// decodeResult is the text of a window.
type decodeResult struct {
	tokens []int32
	// logProb is the mean log-probability of the tokens and the end of text.
	logProb float64
	// noSpeech is the probability of the token for that.
	noSpeech float64
	// compression is the ratio that zlib makes the text smaller by.
	compression float64
	temperature float64
}

// sequence is the beginning of a decoder's input that names the task.
func (t *Tokenizer) sequence(language int, translate bool) []int32 {
	if !t.Multilingual() {
		return []int32{t.sot}
	}
	task := t.transcribe
	if translate {
		task = t.translate
	}
	return []int32{t.sot, t.sot + 1 + int32(language), task}
}

// initial is what the decoder reads before it predicts; sot is the place of the
// start of the transcript.
func (t *Tokenizer) initial(o *decodeOptions, context int) (tokens []int32, sot int) {
	if len(o.prompt) > 0 {
		tokens = append(tokens, t.startOfPrev)
		tokens = append(tokens, o.prompt[max(len(o.prompt)-(context/2-1), 0):]...)
	}
	sot = len(tokens)
	tokens = append(tokens, t.sequence(o.language, o.translate)...)
	if !o.timestamps {
		tokens = append(tokens, t.noTimestamps)
	}
	if n := len(o.prefix); n > 0 {
		keep := n
		if most := context/2 - o.most; o.most > 0 && most != 0 {
			keep = min(n, most)
		}
		tokens = append(tokens, o.prefix[n-keep:]...)
	}
	return tokens, sot
}

// hypothesis is a text under way.
type hypothesis struct {
	tokens []int32 // that were sampled
	sum    float32 // of their log-probabilities
	source int     // hypothesis of the step before that it continues
}

// decode finds the text of the states that r has listened to.
func (m *Model) decode(r *decoding, o decodeOptions, random *rand.Rand) decodeResult {
	t := m.tokenizer
	most := o.most
	if most == 0 {
		most = m.dims.TextContext / 2
	}
	initial, sot := t.initial(&o, m.dims.TextContext)
	r.reset()
	y := r.step(initial, len(initial))
	last := len(initial) - 1
	ends := r.stream.Tensor(2, y.Cols)
	for i, row := range []int{last, sot} {
		r.stream.Copy(ends.Slice(i, i+1), y.Slice(row, row+1))
	}
	both := r.predict(ends)
	atStart := both.Row(1)
	result := decodeResult{temperature: o.temperature}
	result.noSpeech = math.Exp(float64(atStart[t.noSpeech]) - logSumExp(atStart))

	s := search{Model: m, rules: m.rules(o.timestamps), options: o, random: random}
	s.start()
	logits := both.Slice(0, 1)
	for i := 0; ; i++ {
		if i == 0 && s.width > 1 {
			wide := backend.Host(make([]float32, s.width*logits.Cols), s.width, logits.Cols)
			for j := range s.width {
				copy(wide.Row(j), logits.Row(0))
			}
			logits = wide
			r.rearrange(make([]int, s.width))
		}
		done := s.step(logits)
		if done || i == most-1 || len(initial)+i+1 >= m.dims.TextContext {
			break
		}
		var next []int32
		var sources []int
		for _, h := range s.beams {
			next, sources = append(next, h.tokens[len(h.tokens)-1]), append(sources, h.source)
		}
		r.rearrange(sources)
		logits = r.predict(r.step(next, 1))
	}
	best := s.best()
	result.tokens = best.tokens
	result.logProb = float64(best.sum) / float64(len(best.tokens)+1)
	result.compression = compressionRatio(strings.TrimSpace(t.Decode(best.tokens)))
	return result
}

// search keeps the hypotheses of a window: one that takes the likeliest token
// each time, a beam, or samples.
type search struct {
	*Model
	rules    *rules
	options  decodeOptions
	random   *rand.Rand
	width    int
	beams    []hypothesis
	finished []hypothesis // of a beam, without the end of text
}

func (s *search) start() {
	s.width = 1
	if s.options.temperature > 0 {
		s.width = max(s.options.bestOf, 1)
	} else if s.options.beam > 1 {
		s.width = s.options.beam
	}
	s.beams = make([]hypothesis, s.width)
	for i := range s.beams {
		s.beams[i].source = i
	}
}

func (s *search) beamSearch() bool { return s.options.temperature == 0 && s.options.beam > 1 }

// step adds a token to the hypotheses, given their logits, and reports whether
// they are all done.
func (s *search) step(logits *backend.Tensor) bool {
	for i := range s.beams {
		s.rules.apply(logits.Row(i), s.beams[i].tokens)
	}
	if s.beamSearch() {
		return s.stepBeam(logits)
	}
	done := true
	for i := range s.beams {
		h := &s.beams[i]
		h.source = i
		if n := len(h.tokens); n > 0 && h.tokens[n-1] == s.tokenizer.eot {
			h.tokens = append(h.tokens, s.tokenizer.eot)
			continue
		}
		x := logits.Row(i)
		next := argmax(x)
		if s.options.temperature > 0 {
			next = sample(x, s.options.temperature, s.random)
		}
		h.sum += float32(float64(x[next]) - logSumExp(x))
		h.tokens = append(h.tokens, next)
		done = done && next == s.tokenizer.eot
	}
	return done
}

// stepBeam keeps the likeliest continuations of all hypotheses.
func (s *search) stepBeam(logits *backend.Tensor) bool {
	sources := s.beams
	if len(sources[0].tokens) == 0 {
		sources = sources[:1] // they are all the same
	}
	var all []hypothesis
	for i, h := range sources {
		x := logits.Row(i)
		norm := logSumExp(x)
		for _, token := range largest(x, s.width+1) {
			tokens := append(h.tokens[:len(h.tokens):len(h.tokens)], token)
			all = append(all, hypothesis{tokens, h.sum + float32(float64(x[token])-norm), i})
		}
	}
	slices.SortStableFunc(all, func(a, b hypothesis) int { return cmp.Compare(b.sum, a.sum) })
	candidates := s.width
	if s.options.patience > 0 {
		candidates = int(math.RoundToEven(float64(s.width) * s.options.patience))
	}
	s.beams = nil
	var ended []hypothesis
	for _, h := range all {
		if n := len(h.tokens); h.tokens[n-1] == s.tokenizer.eot {
			h.tokens = h.tokens[:n-1]
			ended = append(ended, h)
		} else if s.beams = append(s.beams, h); len(s.beams) == s.width {
			break
		}
	}
	for _, h := range ended {
		if len(s.finished) < candidates {
			s.finished = append(s.finished, h)
		}
	}
	return len(s.finished) >= candidates
}

// best is the hypothesis with the largest score.
func (s *search) best() hypothesis {
	all := s.beams
	if s.beamSearch() {
		all = s.finished
		if len(all) < s.width {
			left := slices.Clone(s.beams)
			slices.SortStableFunc(left, func(a, b hypothesis) int { return cmp.Compare(b.sum, a.sum) })
			all = append(all, left[:min(len(left), s.width-len(all))]...)
		}
	}
	var best hypothesis
	top := math.Inf(-1)
	for _, h := range all {
		if i := slices.Index(h.tokens, s.tokenizer.eot); i >= 0 {
			h.tokens = h.tokens[:i]
		}
		n := float64(max(len(h.tokens), 1))
		if a := s.options.lengthPenalty; a >= 0 {
			n = math.Pow((5+float64(len(h.tokens)))/6, a)
		}
		if score := float64(h.sum) / n; score > top {
			best, top = h, score
		}
	}
	return best
}

// largest gives the places of the n largest values, in their order, first places
// first.
func largest(x []float32, n int) []int32 {
	var best []int32
	for i, v := range x {
		if len(best) == n && v <= x[best[n-1]] {
			continue
		}
		at := len(best)
		for at > 0 && v > x[best[at-1]] {
			at--
		}
		if len(best) < n {
			best = append(best, 0)
		}
		copy(best[at+1:], best[at:])
		best[at] = int32(i)
	}
	return best
}

// sample draws from softmax(x/temperature).
func sample(x []float32, temperature float64, random *rand.Rand) int32 {
	top := maximum(x)
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v-top) / temperature)
	}
	left := random.Float64() * sum
	for i, v := range x {
		if left -= math.Exp(float64(v-top) / temperature); left < 0 {
			return int32(i)
		}
	}
	return argmax(x)
}

// compressionRatio is the ratio that zlib makes a text smaller by: repetition
// compresses well.
func compressionRatio(text string) float64 {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return float64(len(text)) / float64(b.Len())
}

// languageProbabilities are those of the tokenizer's languages for the states that
// r has listened to.
func (m *Model) languageProbabilities(r *decoding) []float64 {
	t := m.tokenizer
	r.reset()
	x := r.predict(r.step([]int32{t.sot}, 1)).Row(0)[t.sot+1:][:t.languages]
	norm := logSumExp(x)
	p := make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(float64(v) - norm)
	}
	return p
}
