package serve

import (
	"errors"
	"fmt"
	"time"

	"github.com/sotto-audio/sotto/asr"
)

// counting is a recogniser that hears a word in every half second of sound: word i
// lasts from i/2 s for 0.4 s, is committed a chunk after its end and tentative
// before that. A loud sample makes it fail.
type counting struct{ cost time.Duration }

const countingChunk = 320 * time.Millisecond

func (c counting) Info() asr.Info {
	return asr.Info{
		Name: "counting", Family: "counting", SampleRate: 16000, Languages: []string{"en", "de"},
		Chunks: []time.Duration{countingChunk, 160 * time.Millisecond},
	}
}

func (c counting) Latency(o asr.Options) (time.Duration, error) {
	if o.Offline {
		return 0, nil
	}
	return max(o.Chunk, countingChunk), nil
}

func (c counting) NewStream(o asr.Options) (asr.Stream, error) {
	if o.Translate {
		return nil, errors.New("counting: does not translate")
	}
	return &countingStream{counting: c, o: o}, nil
}

type countingStream struct {
	counting
	o       asr.Options
	samples int
	words   int
}

func (s *countingStream) at() time.Duration { return time.Duration(s.samples) * time.Second / 16000 }

func (s *countingStream) word(i int) asr.Word {
	start := time.Duration(i) * time.Second / 2
	return asr.Word{Text: fmt.Sprintf("w%d", i), Start: start, End: start + 400*time.Millisecond, Confidence: 0.5}
}

func (s *countingStream) Push(pcm []float32) (asr.Update, error) {
	for _, v := range pcm {
		if v > 0.999 {
			return asr.Update{}, errors.New("counting: too loud")
		}
	}
	s.samples += len(pcm)
	if s.cost > 0 {
		time.Sleep(s.cost)
	}
	if s.o.Offline {
		return asr.Update{}, nil
	}
	return s.until(s.at()-countingChunk, true), nil
}

// until commits the words that end by a time.
func (s *countingStream) until(at time.Duration, live bool) (u asr.Update) {
	for s.word(s.words).End <= at {
		w := s.word(s.words)
		w.Emitted = s.at()
		u.Committed = append(u.Committed, w)
		s.words++
		u.Endpoint = u.Endpoint || s.words%8 == 0
	}
	if live && !u.Endpoint && s.word(s.words).End <= s.at() {
		u.Tentative = []asr.Word{s.word(s.words)}
	}
	return u
}

func (s *countingStream) Flush() (asr.Update, error) { return s.until(s.at(), false), nil }
func (s *countingStream) Reset()                     { s.samples, s.words = 0, 0 }
