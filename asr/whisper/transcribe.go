package whisper

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/sotto-audio/sotto/internal/backend"
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
	random   *rand.Rand
	bands    melStream
	mel      []float32 // frames from seek on, not normalised
	top      float32   // of all frames so far
	seek     int       // frame from which to go on
	samples  int
	peaks    []float32 // loudest sample of each frame from seek on
	peak     float32   // of the frame that is not whole
	detected bool      // the language is known
	decode   decodeOptions
	segments []Segment
	tokens   []int32 // of the text so far
	keep     int     // tokens before this one are not shown to the decoder
	spoken   float64 // end of the last word
}

// Transcribe gives the text of mono samples at 16 kHz. progress, if not nil, is
// called with the share that is done.
func (m *Model) Transcribe(ctx context.Context, pcm []float32, o Options, progress func(done float64)) (_ *Transcript, err error) {
	defer backend.Recover(&err)
	t, err := m.transcriber(o)
	if err != nil {
		return nil, err
	}
	t.push(pcm)
	t.finish()
	for frames := t.samples / hop; t.seek < frames; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.window(frames)
		if progress != nil {
			progress(min(float64(t.seek)/float64(frames), 1))
		}
	}
	return &Transcript{Language: languages[t.decode.language].code, Segments: t.segments}, nil
}

func (m *Model) transcriber(o Options) (_ *transcriber, err error) {
	defer backend.Recover(&err)
	if len(o.Temperatures) == 0 {
		return nil, errors.New("whisper: no temperature is given")
	}
	if err := m.ready(); err != nil {
		return nil, err
	}
	t := &transcriber{
		Model: m, Options: o,
		encoding: m.encoder.start(m.backend),
		decoding: m.decoder.start(m.backend, max(o.Beam, o.BestOf, 1), m.dims.AudioContext),
		bands:    melStream{melBands: m.mel},
		detected: o.Language != "" || !m.tokenizer.Multilingual(),
		decode:   decodeOptions{translate: o.Translate, timestamps: true, most: o.most, lengthPenalty: -1},
	}
	t.decode.language, err = m.language(o.Language)
	t.reset()
	return t, err
}

// reset makes ready for another recording.
func (t *transcriber) reset() {
	t.random = rand.New(rand.NewPCG(1, 2)) // the same text every time
	t.bands.reset()
	t.mel, t.peaks, t.segments, t.tokens = t.mel[:0], t.peaks[:0], nil, nil
	t.top, t.peak, t.seek, t.samples, t.keep, t.spoken = never, 0, 0, 0, 0, 0
	t.detected = t.Language != "" || !t.tokenizer.Multilingual()
	if t.Prompt != "" {
		t.tokens = t.tokenizer.Encode(" " + strings.TrimSpace(t.Prompt))
	}
}

// push takes samples.
func (t *transcriber) push(pcm []float32) {
	for _, v := range pcm {
		t.peak = max(t.peak, v, -v)
		if t.samples++; t.samples%hop == 0 {
			t.peaks = append(t.peaks, t.peak)
			t.peak = 0
		}
	}
	t.hear(pcm)
}

// finish lets silence follow the last sample.
func (t *transcriber) finish() { t.hear(make([]float32, windowFrames*hop)) }

func (t *transcriber) hear(pcm []float32) {
	before := len(t.mel)
	t.mel = t.bands.push(t.mel, pcm)
	t.top = max(t.top, maximum(t.mel[before:]))
}

// listen encodes the next mel frames, filled up with zeros to 30 s.
func (t *transcriber) listen(frames int) {
	t.encoding.reset()
	for _, v := range t.mel[:frames*t.dims.Mels] {
		t.encoding.mel = append(t.encoding.mel, normalise(v, t.top))
	}
	t.decoding.deafen()
	t.decoding.listen(t.encoding.step(t.dims.AudioContext))
}

// detect finds the language of the first 30 seconds.
func (t *transcriber) detect() {
	t.listen(min(windowFrames, len(t.mel)/t.dims.Mels))
	t.decode.language = likeliest(t.languageProbabilities(t.decoding))
	t.detected = true
}

// likeliest is the place of the largest probability.
func likeliest(p []float64) int {
	best := 0
	for i := range p {
		if p[i] > p[best] {
			best = i
		}
	}
	return best
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

// window transcribes the next 30 s of a recording of so many frames, and drops the
// frames that are done.
func (t *transcriber) window(frames int) {
	seek := t.seek
	size := min(windowFrames, frames-seek)
	next := t.windowAt(seek, size)
	if next <= seek {
		next = seek + size
	}
	t.seek = next
	if n := len(t.tokens) - t.dims.TextContext; n > 0 { // more is never shown
		t.tokens = t.tokens[n:]
		t.keep = max(t.keep-n, 0)
	}
	done := min(next-seek, len(t.peaks))
	t.peaks = t.peaks[:copy(t.peaks, t.peaks[done:])]
	t.mel = t.mel[:copy(t.mel, t.mel[min((next-seek)*t.dims.Mels, len(t.mel)):])]
}

// windowAt transcribes size frames, the first of which is the recording's frame
// seek, and gives the frame from which to go on.
func (t *transcriber) windowAt(seek, size int) int {
	if t.silent(size) {
		return seek + size
	}
	if !t.detected {
		t.detect()
	}
	t.listen(size)
	t.decode.prompt = t.tokens[t.keep:]
	r := t.fallback()
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

// silent reports whether the next frames hold nothing that could be heard.
func (t *transcriber) silent(frames int) bool {
	return float64(maximum(t.peaks[:min(frames, len(t.peaks))])) < math.Pow(10, t.Silence/20)
}

// fallback decodes a window at one temperature after the other until the text
// passes the thresholds.
func (t *transcriber) fallback() decodeResult {
	var r decodeResult
	for _, temperature := range t.Temperatures {
		o := t.decode
		o.temperature, o.beam, o.bestOf = temperature, t.Beam, t.BestOf
		r = t.Model.decode(t.decoding, o, t.random)
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
