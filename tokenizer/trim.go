package tokenizer

import (
	"math"
	"slices"
)

// activity finds where sound begins and ends by its power in frames of 20 ms.
// Powers are held as the upper bits of their floats: a logarithmic scale of 8
// steps an octave, 0.38 dB each, exact on every machine.
type activity struct {
	frame  int // samples
	levels []uint16
	sum    float32
	n      int
}

func newActivity(rate int) *activity { return &activity{frame: max(1, rate/50)} }

// In steps of the scale: 1 dB is 2.66.
const (
	levelSilence = 868 // of a mean square of -60 dB
	above        = 27  // 10 dB above the floor
	below        = 53  // 20 dB under the peaks, at least
	range50      = 133 // 50 dB under the peaks, at most
	clickFrames  = 3   // what is shorter does not count
	margin       = 5   // frames kept on both sides
)

// add takes samples, mono.
func (a *activity) add(pcm []float32) {
	for _, v := range pcm {
		a.sum += float32(v * v)
		if a.n++; a.n == a.frame {
			a.flush()
		}
	}
}

func (a *activity) flush() {
	if a.n > 0 {
		a.levels = append(a.levels, uint16(math.Float32bits(a.sum/float32(a.n))>>20))
	}
	a.sum, a.n = 0, 0
}

// span gives the first sample that is kept and the one behind the last. ok is
// false where nothing rises above silence.
func (a *activity) span() (from, to int64, ok bool) {
	a.flush()
	if len(a.levels) == 0 {
		return 0, 0, false
	}
	sorted := slices.Clone(a.levels)
	slices.Sort(sorted)
	floor, peak := int(sorted[len(sorted)/10]), int(sorted[len(sorted)*95/100])
	threshold := max(min(floor+above, peak-below), peak-range50, levelSilence)
	first, last, run := -1, -1, 0
	for i, level := range a.levels {
		if int(level) < threshold {
			run = 0
			continue
		}
		if run++; run >= min(clickFrames, len(a.levels)) {
			if first < 0 {
				first = i + 1 - run
			}
			last = i
		}
	}
	if first < 0 {
		return 0, 0, false
	}
	frame := int64(a.frame)
	return max(0, int64(first-margin)) * frame, int64(last+1+margin) * frame, true
}
