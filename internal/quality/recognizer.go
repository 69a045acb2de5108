package quality

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/manifest"
	"github.com/sotto-audio/sotto/internal/transcript"
	"golang.org/x/sync/errgroup"
)

// Spoken is a recording with its transcript.
type Spoken struct {
	Path, Text string
	// Times are begin and end of each word of Text, where the manifest has them.
	Times [][2]time.Duration
}

// ReadTranscripts gives the rows of a manifest that have a text, chosen as by
// ReadManifest. A column "times" holds begin-end in seconds for each word.
func ReadTranscripts(path, split, source string) ([]Spoken, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	columns := []string{"path", "split", "text", "times"}
	rows, err := manifest.Read(f, columns...)
	if err != nil {
		if _, err := f.Seek(0, 0); err != nil {
			return nil, err
		}
		rows, err = manifest.Read(f, columns[:3]...)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out []Spoken
	for _, row := range rows {
		file, text := row.Fields[0], row.Fields[2]
		first, _, _ := strings.Cut(file, "/")
		if file == "" || text == "" || split != "" && row.Fields[1] != split || source != "" && first != source {
			continue
		}
		s := Spoken{Path: filepath.Join(filepath.Dir(path), filepath.FromSlash(file)), Text: text}
		if len(row.Fields) > 3 {
			for _, span := range strings.Fields(row.Fields[3]) {
				a, b, _ := strings.Cut(span, "-")
				begin, err1 := strconv.ParseFloat(a, 64)
				end, err2 := strconv.ParseFloat(b, 64)
				if err1 != nil || err2 != nil {
					return nil, fmt.Errorf("%s: line %d: times %q: give begin-end in seconds", path, row.Line, span)
				}
				s.Times = append(s.Times, [2]time.Duration{time.Duration(begin * 1e9), time.Duration(end * 1e9)})
			}
			if n := len(strings.Fields(text)); len(s.Times) > 0 && len(s.Times) != n {
				return nil, fmt.Errorf("%s: line %d: %d times for %d words", path, row.Line, len(s.Times), n)
			}
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no row has a text, split %q and source %q: choose others with --split and --source", path, split, source)
	}
	return out, nil
}

// Spread says how values are distributed, in milliseconds.
type Spread struct {
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

// Latency is how late words are committed: the length of the input that had
// arrived, less the end of the word.
type Latency struct {
	Algorithmic float64 `json:"algorithmic"` // chunk and lookahead
	Spread
}

// TimeErrors are differences of word times from the manifest's, without sign,
// and their means with sign.
type TimeErrors struct {
	Words     int     `json:"words"`
	Begin     Spread  `json:"begin"`
	End       Spread  `json:"end"`
	BeginBias float64 `json:"begin_bias"`
	EndBias   float64 `json:"end_bias"`
}

// Recognition are the figures of one way of recognising.
type Recognition struct {
	WER float64 `json:"wer"`
	CER float64 `json:"cer"`
	transcript.Errors
	Latency *Latency    `json:"latency_ms,omitempty"`
	Times   *TimeErrors `json:"time_errors_ms,omitempty"`
}

// Confusion is an error and how often it was made: a word for another, or
// nothing for a word, or a word for nothing.
type Confusion struct {
	Ref   string `json:"ref"`
	Hyp   string `json:"hyp"`
	Count int    `json:"count"`
}

// Heard is what was made of one recording.
type Heard struct {
	Path string  `json:"path"`
	Ref  string  `json:"ref"`
	Hyp  string  `json:"hyp"`
	WER  float64 `json:"wer"`
}

// RecognizerReport holds the figures over recordings.
type RecognizerReport struct {
	Model       string  `json:"model"`
	Fingerprint string  `json:"fingerprint"`
	Clips       int     `json:"clips"`
	Seconds     float64 `json:"seconds"`
	Speed       float64 `json:"speed"` // seconds of sound a second of the run, all steps
	Recognition         // from samples
	// From token frames, and from samples decoded from these, by kbit/s.
	Tokens  map[string]Recognition `json:"tokens,omitempty"`
	Decoded map[string]Recognition `json:"decoded,omitempty"`
	Errors  []Confusion            `json:"errors"` // from samples, most frequent first
	PerClip []Heard                `json:"per_clip,omitempty"`
}

// RecognizerOptions choose what is measured.
type RecognizerOptions struct {
	asr.Options
	Raw bool // compare without merging numbers
	// Codec is what makes tokens and decodes them, for Tokens and Decoded.
	Codec           codec.Codec
	Tokens, Decoded bool
	Parallel        int // recordings at once
}

// EvaluateRecognizer runs recordings through a recogniser and compares what it
// hears with the transcripts. done is told how many are through. A recording
// that cannot be measured ends it with an error that names it.
func EvaluateRecognizer(ctx context.Context, model asr.Recognizer, clips []Spoken, o RecognizerOptions, done func(clips int64)) (*RecognizerReport, error) {
	info := model.Info()
	r := &RecognizerReport{Model: info.Name, Fingerprint: info.Fingerprint.String(), Clips: len(clips)}
	started := time.Now()
	parts := make([]map[string][]asr.Word, len(clips))
	lengths := make([]float64, len(clips))
	var mu sync.Mutex
	finished := int64(0)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(o.Parallel, 1))
	for i, clip := range clips {
		g.Go(func() (err error) {
			if parts[i], lengths[i], err = hear(ctx, model, clip.Path, o); err != nil {
				return fmt.Errorf("%s: %w", clip.Path, err)
			}
			mu.Lock()
			defer mu.Unlock()
			finished++
			done(finished)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	sums := map[string]*sum{}
	for i, clip := range clips {
		r.Seconds += lengths[i]
		for step, words := range parts[i] {
			if sums[step] == nil {
				sums[step] = &sum{confusions: map[[2]string]int{}}
			}
			heard := sums[step].add(clip, words, o.Raw)
			if step == fromSamples {
				r.PerClip = append(r.PerClip, heard)
			}
		}
	}
	latency, err := model.Latency(o.Options)
	if err != nil {
		return nil, err
	}
	for step, s := range sums {
		f := s.figures(latency, o.Offline)
		kind, rate, _ := strings.Cut(step, " ")
		switch kind {
		case fromSamples:
			r.Recognition, r.Errors = f, s.list()
		case fromTokens:
			set(&r.Tokens, rate, f)
		case fromDecoded:
			set(&r.Decoded, rate, f)
		}
	}
	r.Speed = r.Seconds * float64(len(sums)) / max(time.Since(started).Seconds(), 1e-9)
	return r, nil
}

func set(m *map[string]Recognition, rate string, f Recognition) {
	if *m == nil {
		*m = map[string]Recognition{}
	}
	(*m)[rate] = f
}

// Steps of an evaluation; a rate follows but for the first.
const (
	fromSamples = "samples"
	fromTokens  = "tokens"
	fromDecoded = "decoded"
)

// hear recognises one recording in all ways asked for.
func hear(ctx context.Context, model asr.Recognizer, path string, o RecognizerOptions) (map[string][]asr.Word, float64, error) {
	rate := model.Info().SampleRate
	pcm, err := audio.ReadMono(path, rate)
	if err != nil {
		return nil, 0, err
	}
	out := map[string][]asr.Word{}
	if out[fromSamples], err = HearSamples(ctx, model, pcm, o.Options); err != nil {
		return nil, 0, err
	}
	length := float64(len(pcm)) / float64(rate)
	if !o.Tokens && !o.Decoded {
		return out, length, nil
	}
	info := o.Codec.Info()
	if info.SampleRate != rate {
		if pcm, err = audio.ReadMono(path, info.SampleRate); err != nil {
			return nil, 0, err
		}
	}
	all, err := o.Codec.Encode(ctx, pcm, 0)
	if err != nil {
		return nil, 0, err
	}
	for i, books := range info.Levels {
		step := " " + fmt.Sprint(info.Bitrates[i]/1000)
		tokens := first(all, books)
		if o.Tokens {
			if out[fromTokens+step], err = hearTokens(ctx, model, tokens, o.Options); err != nil {
				return nil, 0, err
			}
		}
		if o.Decoded {
			decoded, err := o.Codec.Decode(ctx, tokens)
			if err != nil {
				return nil, 0, err
			}
			decoded = decoded[:min(len(decoded), len(pcm))]
			if info.SampleRate != rate {
				rs := audio.NewResampler(info.SampleRate, rate, 1)
				decoded = rs.Flush(rs.Process(nil, decoded))
			}
			if out[fromDecoded+step], err = HearSamples(ctx, model, decoded, o.Options); err != nil {
				return nil, 0, err
			}
		}
	}
	return out, length, nil
}

// HearSamples gives the words that a recogniser hears in samples at its rate.
func HearSamples(ctx context.Context, model asr.Recognizer, pcm []float32, o asr.Options) ([]asr.Word, error) {
	stream, err := model.NewStream(o)
	if err != nil {
		return nil, err
	}
	var words []asr.Word
	for block := model.Info().SampleRate / 10; len(pcm) > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(block, len(pcm))
		u, err := stream.Push(pcm[:n])
		if err != nil {
			return nil, err
		}
		words, pcm = append(words, u.Committed...), pcm[n:]
	}
	u, err := stream.Flush()
	return append(words, u.Committed...), err
}

func hearTokens(ctx context.Context, model asr.Recognizer, t *codec.Tokens, o asr.Options) ([]asr.Word, error) {
	streamer, ok := model.(asr.TokenStreamer)
	if !ok {
		return nil, fmt.Errorf("%s takes samples only", model.Info().Name)
	}
	stream, err := streamer.NewTokenStream(t.Codebooks, o)
	if err != nil {
		return nil, err
	}
	var words []asr.Word
	for f := range t.Frames {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		u, err := stream.PushTokens(t.Frame(f))
		if err != nil {
			return nil, err
		}
		words = append(words, u.Committed...)
	}
	u, err := stream.Flush()
	return append(words, u.Committed...), err
}

// sum adds up recordings.
type sum struct {
	words, letters     transcript.Errors
	confusions         map[[2]string]int
	late               []float64 // milliseconds
	begins, ends       []float64
	biasBegin, biasEnd float64
}

func (s *sum) add(clip Spoken, heard []asr.Word, raw bool) Heard {
	var said []string
	for _, w := range heard {
		said = append(said, w.Text)
		if w.Emitted > 0 {
			s.late = append(s.late, float64(w.Emitted-w.End)/1e6)
		}
	}
	h := Heard{Path: clip.Path, Ref: transcript.English(clip.Text, raw), Hyp: transcript.English(strings.Join(said, " "), raw)}
	edits := transcript.Align(strings.Fields(h.Ref), strings.Fields(h.Hyp))
	s.words.Add(edits)
	s.letters.Add(transcript.Align(transcript.Letters(h.Ref), transcript.Letters(h.Hyp)))
	var own transcript.Errors
	own.Add(edits)
	h.WER = own.Rate()
	for _, e := range edits {
		if e.Op != transcript.Match {
			s.confusions[[2]string{e.Ref, e.Hyp}]++
		}
	}
	if len(clip.Times) > 0 {
		for _, e := range transcript.Align(strings.Fields(clip.Text), said) {
			if e.Op != transcript.Match {
				continue
			}
			b := float64(heard[e.HypAt].Start-clip.Times[e.RefAt][0]) / 1e6
			n := float64(heard[e.HypAt].End-clip.Times[e.RefAt][1]) / 1e6
			s.begins, s.ends = append(s.begins, math.Abs(b)), append(s.ends, math.Abs(n))
			s.biasBegin, s.biasEnd = s.biasBegin+b, s.biasEnd+n
		}
	}
	return h
}

func (s *sum) figures(algorithmic time.Duration, offline bool) Recognition {
	f := Recognition{WER: s.words.Rate(), CER: s.letters.Rate(), Errors: s.words}
	if !offline && len(s.late) > 0 {
		f.Latency = &Latency{float64(algorithmic) / 1e6, spread(s.late)}
	}
	if n := len(s.begins); n > 0 {
		f.Times = &TimeErrors{n, spread(s.begins), spread(s.ends), s.biasBegin / float64(n), s.biasEnd / float64(n)}
	}
	return f
}

// spread sorts v.
func spread(v []float64) Spread {
	slices.Sort(v)
	at := func(p float64) float64 { return v[int(math.Ceil(p*float64(len(v))))-1] }
	return Spread{at(0.5), at(0.95), v[len(v)-1]}
}

func (s *sum) list() []Confusion {
	out := []Confusion{}
	for k, n := range s.confusions {
		out = append(out, Confusion{k[0], k[1], n})
	}
	slices.SortFunc(out, func(a, b Confusion) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Hyp, b.Hyp))
	})
	return out
}
