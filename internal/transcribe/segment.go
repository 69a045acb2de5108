package transcribe

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sotto-audio/sotto/asr"
)

// What ends a segment.
const (
	segmentPause  = 800 * time.Millisecond // between two words
	segmentLength = 7 * time.Second        // what subtitles may take
	segmentLetter = 84                     // two lines of a subtitle
)

// Segment is a run of words that belong together: an utterance, or as much of it
// as two lines hold.
type Segment struct {
	Words []asr.Word
}

// Start is when the first word begins.
func (s Segment) Start() time.Duration { return s.Words[0].Start }

// End is when the last word ends.
func (s Segment) End() time.Duration { return s.Words[len(s.Words)-1].End }

// Text is the words with spaces.
func (s Segment) Text() string { return text(s.Words) }

func text(words []asr.Word) string {
	t := make([]string, len(words))
	for i, w := range words {
		t[i] = w.Text
	}
	return strings.Join(t, " ")
}

// Segmenter collects committed words. Its zero value is ready to use.
type Segmenter struct {
	words  []asr.Word
	length int
}

// Add takes an update and gives the segments that are whole.
func (s *Segmenter) Add(u asr.Update, end bool) (whole []Segment) {
	for _, w := range u.Committed {
		n := utf8.RuneCountInString(w.Text)
		if k := len(s.words); k > 0 &&
			(w.Start-s.words[k-1].End >= segmentPause || w.End-s.words[0].Start > segmentLength || s.length+1+n > segmentLetter) {
			whole = append(whole, s.take())
		}
		s.words = append(s.words, w)
		s.length += n + 1
	}
	if (u.Endpoint || end) && len(s.words) > 0 {
		whole = append(whole, s.take())
	}
	return whole
}

func (s *Segmenter) take() Segment {
	out := Segment{s.words}
	s.words, s.length = nil, 0
	return out
}
