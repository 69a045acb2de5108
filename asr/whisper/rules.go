package whisper

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend/f32"
)

var never = float32(math.Inf(-1))

// rules decide which tokens may follow.
type rules struct {
	*Tokenizer
	suppressed []int32 // never
	blank      []int32 // not as the first
	timestamps bool    // see apply
	// initial is the last timestamp that may come first, in tokens from 0.00.
	initial int32
}

func (m *Model) rules(timestamps bool) *rules {
	t := m.tokenizer
	r := &rules{Tokenizer: t, timestamps: timestamps, initial: 50}
	r.suppressed = append(append(r.suppressed, m.suppressed...), t.transcribe, t.translate, t.sot, t.startOfPrev, t.startOfLM, t.noSpeech)
	r.blank = append(t.Encode(" "), t.eot)
	return r
}

// apply sets the logits of what cannot follow the tokens that were sampled to −∞.
// With timestamps these are the rules of Radford et al. 2022, section 4.5: a
// timestamp comes first, within the first second; then they come in pairs, the end
// of a segment and the start of the next, except before the end of the text; they
// do not decrease, and a segment is not empty; and where timestamps together are
// likelier than the likeliest other token, it is a timestamp.
func (r *rules) apply(logits []float32, sampled []int32) {
	forbid := func(from, to int32) {
		for i := from; i < to; i++ {
			logits[i] = never
		}
	}
	n := len(sampled)
	if n == 0 {
		for _, t := range r.blank {
			logits[t] = never
		}
	}
	for _, t := range r.suppressed {
		logits[t] = never
	}
	if !r.timestamps {
		return
	}
	first, size := r.Tokenizer.timestamps, int32(len(logits))
	logits[r.noTimestamps] = never
	isTime := func(i int) bool { return i >= 0 && sampled[i] >= first }
	last, before := isTime(n-1), n < 2 || isTime(n-2)
	switch {
	case last && before:
		forbid(first, size)
	case last:
		forbid(0, r.eot)
	}
	for i := n - 1; i >= 0; i-- {
		if isTime(i) {
			earliest := sampled[i] + 1
			if last && !before {
				earliest = sampled[i]
			}
			forbid(first, earliest)
			break
		}
	}
	if n == 0 {
		forbid(0, first)
		forbid(first+r.initial+1, size)
	}
	if logSumExp(logits[first:]) > float64(maximum(logits[:first])) {
		forbid(0, first)
	}
}

func maximum(x []float32) float32 {
	top := never
	for _, v := range x {
		top = max(top, v)
	}
	return top
}

// logSumExp is log Σ exp x.
func logSumExp(x []float32) float64 {
	top := maximum(x)
	if top == never {
		return math.Inf(-1)
	}
	sum := 0.0
	for _, v := range x {
		if d := v - top; d > -80 {
			sum += float64(f32.Exp(d))
		}
	}
	return float64(top) + math.Log(sum)
}

// argmax is the place of the first of the largest values.
func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}
