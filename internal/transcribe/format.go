package transcribe

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/asr"
)

// Formats that New knows.
var Formats = []string{"txt", "srt", "vtt", "json", "jsonl"}

// About says what is transcribed, by what.
type About struct {
	File    string
	Model   string
	Chunk   time.Duration // 0 offline
	Latency time.Duration // algorithmic, 0 offline
}

// Writer writes a transcript as it grows.
type Writer interface {
	// Update takes what a stream gave; end says that it was the last.
	Update(u asr.Update, end bool) error
	// Close ends the transcript of a recording of that length.
	Close(length time.Duration) error
}

// New makes a writer of one of Formats.
func New(w io.Writer, format string, a About) (Writer, error) {
	switch format {
	case "txt":
		return &plainText{w: w}, nil
	case "srt":
		return &subtitles{w: w}, nil
	case "vtt":
		return &subtitles{w: w, web: true}, nil
	case "json":
		return &document{w: w, about: a}, nil
	case "jsonl":
		return &lines{w: w, about: a}, nil
	}
	return nil, fmt.Errorf("format %q is not written: choose %s", format, strings.Join(Formats, ", "))
}

// plainText has a line for each utterance and grows word by word.
type plainText struct {
	w    io.Writer
	last asr.Word
	open bool
}

func (p *plainText) Update(u asr.Update, end bool) error {
	var b strings.Builder
	for _, w := range u.Committed {
		switch {
		case p.open && w.Start-p.last.End >= segmentPause:
			b.WriteByte('\n')
		case p.open:
			b.WriteByte(' ')
		}
		b.WriteString(w.Text)
		p.open, p.last = true, w
	}
	if p.open && (u.Endpoint || end) {
		b.WriteByte('\n')
		p.open = false
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

func (p *plainText) Close(time.Duration) error { return nil }

// subtitles are SubRip, or WebVTT.
type subtitles struct {
	w   io.Writer
	web bool
	Segmenter
	n int
}

func (s *subtitles) Update(u asr.Update, end bool) error {
	for _, seg := range s.Add(u, end) {
		if err := s.head(); err != nil {
			return err
		}
		s.n++
		caption := wrap(seg.Text())
		var err error
		if s.web {
			caption = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(caption)
			_, err = fmt.Fprintf(s.w, "\n%s --> %s\n%s\n", clock(seg.Start(), '.'), clock(seg.End(), '.'), caption)
		} else {
			_, err = fmt.Fprintf(s.w, "%d\n%s --> %s\n%s\n\n", s.n, clock(seg.Start(), ','), clock(seg.End(), ','), caption)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *subtitles) head() error {
	if s.web && s.n == 0 {
		_, err := io.WriteString(s.w, "WEBVTT\n")
		return err
	}
	return nil
}

func (s *subtitles) Close(time.Duration) error { return s.head() }

// clock is hours, minutes, seconds and milliseconds.
func clock(t time.Duration, dot byte) string {
	ms := t.Round(time.Millisecond).Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d%c%03d", ms/3600000, ms/60000%60, ms/1000%60, dot, ms%1000)
}

// wrap breaks a caption into two lines of about the same length.
func wrap(s string) string {
	if len(s) <= segmentLetter/2 {
		return s
	}
	best := -1
	for i := range s {
		if s[i] == ' ' && (best < 0 || abs(2*i-len(s)) < abs(2*best-len(s))) {
			best = i
		}
	}
	if best < 0 {
		return s
	}
	return s[:best] + "\n" + s[best+1:]
}

func abs(n int) int { return max(n, -n) }

// seconds have a precision of milliseconds.
type seconds time.Duration

func (s seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

type jsonWord struct {
	Text       string  `json:"text"`
	Start      seconds `json:"start"`
	End        seconds `json:"end"`
	Confidence float64 `json:"confidence"`
	Emission   seconds `json:"emission_time"`
}

type jsonSegment struct {
	Start seconds    `json:"start"`
	End   seconds    `json:"end"`
	Text  string     `json:"text"`
	Words []jsonWord `json:"words"`
}

func segment(words []asr.Word) jsonSegment {
	s := jsonSegment{Text: text(words), Words: make([]jsonWord, len(words))}
	for i, w := range words {
		s.Words[i] = jsonWord{w.Text, seconds(w.Start), seconds(w.End), math.Round(1e4*w.Confidence) / 1e4, seconds(w.Emitted)}
	}
	if n := len(words); n > 0 {
		s.Start, s.End = seconds(words[0].Start), seconds(words[n-1].End)
	}
	return s
}

// document is one JSON object for a recording.
type document struct {
	w     io.Writer
	about About
	Segmenter
	segments []jsonSegment
	text     []string
}

func (d *document) Update(u asr.Update, end bool) error {
	for _, s := range d.Add(u, end) {
		d.segments = append(d.segments, segment(s.Words))
		d.text = append(d.text, s.Text())
	}
	return nil
}

func (d *document) Close(length time.Duration) error {
	if d.segments == nil {
		d.segments = []jsonSegment{}
	}
	return json.NewEncoder(d.w).Encode(struct {
		File     string        `json:"file"`
		Model    string        `json:"model"`
		Duration seconds       `json:"duration"`
		Chunk    seconds       `json:"chunk"`
		Latency  seconds       `json:"latency"`
		Text     string        `json:"text"`
		Segments []jsonSegment `json:"segments"`
	}{d.about.File, d.about.Model, seconds(length), seconds(d.about.Chunk), seconds(d.about.Latency), strings.Join(d.text, " "), d.segments})
}

// lines are JSON objects, one whenever words are committed or the tentative ones
// change.
type lines struct {
	w         io.Writer
	about     About
	tentative string
}

func (l *lines) Update(u asr.Update, end bool) error {
	if len(u.Committed) > 0 || u.Endpoint {
		l.tentative = ""
		if err := l.line(u.Committed, true, u.Endpoint || end); err != nil {
			return err
		}
	}
	if now := text(u.Tentative); now != l.tentative {
		l.tentative = now
		return l.line(u.Tentative, false, false)
	}
	return nil
}

func (l *lines) line(words []asr.Word, final, endpoint bool) error {
	line := struct {
		File string `json:"file"`
		jsonSegment
		Final    bool     `json:"is_final"`
		Endpoint bool     `json:"endpoint"`
		Emission *seconds `json:"emission_time,omitempty"`
	}{File: l.about.File, jsonSegment: segment(words), Final: final, Endpoint: endpoint}
	if final && len(words) > 0 {
		e := seconds(words[len(words)-1].Emitted)
		line.Emission = &e
	}
	return json.NewEncoder(l.w).Encode(line)
}

func (l *lines) Close(time.Duration) error { return nil }
