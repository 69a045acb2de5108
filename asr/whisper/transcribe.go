package whisper

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
)

// Options choose how a recording is transcribed. DefaultOptions has the usual
// values.
type Options struct {
	// Language is a code such as "de" or an English name; empty detects it in the
	// first 30 seconds.
	Language string
	// Translate asks for English text whatever the language.
	Translate bool
	// Beam is the number of hypotheses at temperature 0; 1 or less is greedy.
	Beam int
	// BestOf is the number of samples at other temperatures.
	BestOf int
	// Temperatures are tried one after the other while a window's text fails a
	// threshold.
	Temperatures []float64
	// CompressionRatio above which a text is too repetitive; 0 is no limit.
	CompressionRatio float64
	// LogProb is the mean log-probability below which a text fails; −Inf is no
	// limit.
	LogProb float64
	// NoSpeech is the probability of that above which a text that fails LogProb
	// counts as silence; 1 is no limit.
	NoSpeech float64
	// Silence is the level, in decibels of full scale, of the loudest sample of a
	// window below which it is not decoded at all; −Inf decodes everything.
	Silence float64
	// Condition gives each window the text before it.
	Condition bool
	// Prompt is text that could come before, such as names that will be said.
	Prompt string
	// Words asks for the times of words.
	Words bool
	// most is the number of tokens of a window, 0 for half of the decoder's context.
	most int
}

// DefaultOptions are those of the original command line, and −70 dB for silence.
func DefaultOptions() Options {
	return Options{
		Beam: 5, BestOf: 5, Temperatures: []float64{0, 0.2, 0.4, 0.6, 0.8, 1},
		CompressionRatio: 2.4, LogProb: -1, NoSpeech: 0.6, Silence: -70,
		Condition: true, Words: true,
	}
}

// Transcript is the text of a recording.
type Transcript struct {
	Language string // ISO 639-1 code
	Segments []Segment
}

// Segment is a phrase; times are in seconds.
type Segment struct {
	Start, End float64
	Text       string // with the space before it
	Tokens     []int32
	Words      []Word // where Options.Words is set

	Temperature, LogProb, NoSpeech, CompressionRatio float64

	seek int // mel frame of its window
}

// Word is a word of a segment; times are in seconds.
type Word struct {
	Text        string // with the space before it
	Start, End  float64
	Probability float64
}

// Text joins the segments.
func (t *Transcript) Text() string {
	var b strings.Builder
	for _, s := range t.Segments {
		b.WriteString(s.Text)
	}
	return strings.TrimSpace(b.String())
}

// windowFrames are the mel frames of 30 s.
const windowFrames = 30 * SampleRate / hop

// transcriber is a transcription under way.
type transcriber struct {
	*Model
	Options
	encoding *encoding
	decoding *decoding
	mel      []float32 // all frames
	frames   int       // of them that hold sound
	peaks    []float32 // loudest sample of each frame
	decode   decodeOptions
	segments []Segment
	tokens   []int32 // of the text so far
	keep     int     // tokens before this one are not shown to the decoder
	spoken   float64 // end of the last word
}

// Transcribe gives the text of mono samples at 16 kHz. progress, if not nil, is
// called with the share that is done.
func (m *Model) Transcribe(ctx context.Context, pcm []float32, o Options, progress func(done float64)) (*Transcript, error) {
	if len(o.Temperatures) == 0 {
		return nil, errors.New("whisper: no temperature is given")
	}
	t, err := m.transcriber(pcm, o)
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(1, uint64(len(pcm)))) // the same text every time
	for seek := 0; seek < t.frames; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		seek = t.window(seek, random)
		if progress != nil {
			progress(min(float64(seek)/float64(t.frames), 1))
		}
	}
	return &Transcript{Language: languages[t.decode.language].code, Segments: t.segments}, nil
}

func (m *Model) transcriber(pcm []float32, o Options) (*transcriber, error) {
	beams := max(o.Beam, o.BestOf, 1)
	t := &transcriber{
		Model: m, Options: o,
		encoding: m.encoder.start(m.backend), decoding: m.decoder.start(m.backend, beams, m.dims.AudioContext),
		frames: len(pcm) / hop,
		decode: decodeOptions{translate: o.Translate, timestamps: true, most: o.most, lengthPenalty: -1},
	}
	t.mel = m.mel.logMel(append(pcm[:len(pcm):len(pcm)], make([]float32, windowFrames*hop)...))
	for f := range t.frames {
		peak := float32(0)
		for _, v := range pcm[f*hop : (f+1)*hop] {
			peak = max(peak, v, -v)
		}
		t.peaks = append(t.peaks, peak)
	}
	if err := t.setLanguage(); err != nil {
		return nil, err
	}
	if o.Prompt != "" {
		t.tokens = m.tokenizer.Encode(" " + strings.TrimSpace(o.Prompt))
	}
	return t, nil
}

// setLanguage finds the language in the options or in the first 30 seconds.
func (t *transcriber) setLanguage() (err error) {
	if t.Language == "" && t.tokenizer.Multilingual() {
		t.listen(0, windowFrames)
		p := t.languageProbabilities(t.decoding)
		for i := range p {
			if p[i] > p[t.decode.language] {
				t.decode.language = i
			}
		}
		return nil
	}
	t.decode.language, err = t.language(t.Language)
	return err
}

// language gives the place of a language that the model knows, of English for an
// empty name.
func (m *Model) language(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	i := findLanguage(name, m.tokenizer.languages)
	switch {
	case i > 0 && !m.tokenizer.Multilingual():
		return 0, errors.New("whisper: this model knows English only, not " + languages[i].name)
	case i < 0:
		return 0, errors.New("whisper: this model does not know the language \"" + name + "\": a code such as \"de\" or a name such as \"german\" is expected")
	}
	return i, nil
}

// listen encodes mel frames [from, to), filled up with zeros to 30 s.
func (t *transcriber) listen(from, to int) {
	t.encoding.reset()
	t.encoding.mel = append(t.encoding.mel, t.mel[from*t.dims.Mels:to*t.dims.Mels]...)
	t.decoding.audio = 0
	t.decoding.listen(t.encoding.step(t.dims.AudioContext))
}

// window transcribes the 30 s from mel frame seek on, and gives the frame from
// which to go on.
func (t *transcriber) window(seek int, random *rand.Rand) int {
	size := min(windowFrames, t.frames-seek)
	if t.silent(seek, seek+size) {
		return seek + size
	}
	t.listen(seek, seek+size)
	t.decode.prompt = t.tokens[t.keep:]
	r := t.fallback(random)
	if r.noSpeech > t.NoSpeech && r.logProb <= t.LogProb {
		return seek + size
	}
	segments, next := t.cut(r, seek, size)
	if t.Words {
		offset := float64(seek*hop) / SampleRate
		t.wordTimes(t.decoding, segments, &t.decode, size/framesPerStep, offset, t.spoken)
		end, ok := lastEnd(segments)
		if ok && end > offset && !t.openEnded(r.tokens) {
			next = int(math.RoundToEven(end * SampleRate / hop))
		}
		if ok {
			t.spoken = end
		}
	}
	for _, s := range segments {
		if s.Start == s.End || strings.TrimSpace(s.Text) == "" {
			continue
		}
		t.segments = append(t.segments, s)
		t.tokens = append(t.tokens, s.Tokens...)
	}
	if !t.Condition || r.temperature > 0.5 {
		t.keep = len(t.tokens)
	}
	return next
}

// silent reports whether frames hold nothing that could be heard.
func (t *transcriber) silent(from, to int) bool {
	peak := float32(0)
	for _, p := range t.peaks[from:to] {
		peak = max(peak, p)
	}
	return float64(peak) < math.Pow(10, t.Silence/20)
}

// fallback decodes a window at one temperature after the other until the text
// passes the thresholds.
func (t *transcriber) fallback(random *rand.Rand) decodeResult {
	var r decodeResult
	for _, temperature := range t.Temperatures {
		o := t.decode
		o.temperature, o.beam, o.bestOf = temperature, t.Beam, t.BestOf
		r = t.Model.decode(t.decoding, o, random)
		repetitive := t.CompressionRatio > 0 && r.compression > t.CompressionRatio
		unlikely := r.logProb < t.LogProb
		if !repetitive && !unlikely || unlikely && r.noSpeech > t.NoSpeech {
			break
		}
	}
	return r
}

// openEnded reports whether a text ends with a single timestamp: nothing is said
// after it.
func (t *transcriber) openEnded(tokens []int32) bool {
	n := len(tokens)
	return n >= 2 && tokens[n-2] < t.tokenizer.timestamps && tokens[n-1] >= t.tokenizer.timestamps
}

// cut makes segments of a window's text, and gives the frame from which to go on:
// the last end of a segment where a segment is not whole.
func (t *transcriber) cut(r decodeResult, seek, size int) (segments []Segment, next int) {
	first := t.tokenizer.timestamps
	seconds := func(token int32) float64 {
		return float64(seek*hop)/SampleRate + float64(token-first)/statesPerSecond
	}
	add := func(tokens []int32, start, end float64) {
		segments = append(segments, Segment{
			Start: start, End: end, Text: t.tokenizer.Decode(tokens), Tokens: tokens, seek: seek,
			Temperature: r.temperature, LogProb: r.logProb, NoSpeech: r.noSpeech, CompressionRatio: r.compression,
		})
	}
	last := 0
	for i := 1; i <= len(r.tokens); i++ {
		pair := i < len(r.tokens) && r.tokens[i-1] >= first && r.tokens[i] >= first
		if pair || i == len(r.tokens) && last > 0 && t.openEnded(r.tokens) {
			part := r.tokens[last:i]
			add(part, seconds(part[0]), seconds(part[len(part)-1]))
			last = i
		}
	}
	if last > 0 {
		if t.openEnded(r.tokens) {
			return segments, seek + size
		}
		return segments, seek + int(r.tokens[last-1]-first)*framesPerStep
	}
	end := float64((seek+size)*hop) / SampleRate
	for i := len(r.tokens) - 1; i >= 0; i-- {
		if token := r.tokens[i]; token >= first {
			if token > first {
				end = seconds(token)
			}
			break
		}
	}
	add(r.tokens, seconds(first), end)
	return segments, seek + size
}

// lastEnd is the end of the last word, or of the last segment where no word is.
func lastEnd(segments []Segment) (float64, bool) {
	for i := len(segments) - 1; i >= 0; i-- {
		if w := segments[i].Words; len(w) > 0 {
			return w[len(w)-1].End, true
		}
	}
	if n := len(segments); n > 0 {
		return segments[n-1].End, true
	}
	return 0, false
}
