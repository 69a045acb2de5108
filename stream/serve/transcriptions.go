package serve

import (
	"context"
	"fmt"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/transcribe"
)

// offlineSeconds is the length up to which a file is recognised as a whole, which
// is more accurate; longer ones stream, in bounded memory.
const offlineSeconds = 300

// formBytes of a form are held in memory; the rest goes to a temporary file.
const formBytes = 1 << 20

// transcriptions answers POST /v1/audio/transcriptions of OpenAI's interface.
func (s *Server) transcriptions(w http.ResponseWriter, r *http.Request) { s.recognize(w, r, false) }

// translations answers POST /v1/audio/translations.
func (s *Server) translations(w http.ResponseWriter, r *http.Request) { s.recognize(w, r, true) }

func (s *Server) recognize(w http.ResponseWriter, r *http.Request, translate bool) {
	if s.o.Recognizer == nil {
		fail(w, &apiError{http.StatusNotFound, "model_not_found", "model", "this server has no recogniser: start it with --asr"})
		return
	}
	if err := r.ParseMultipartForm(formBytes); err != nil {
		if strings.Contains(err.Error(), "request body too large") {
			err = &apiError{http.StatusRequestEntityTooLarge, "too_large", "file", fmt.Sprintf("the upload is larger than %d bytes, which is the limit here", s.o.Limits.Bytes)}
		} else {
			err = bad("", "the body is no multipart/form-data with a file: %v", err)
		}
		fail(w, err)
		return
	}
	defer r.MultipartForm.RemoveAll()
	if err := s.answer(w, r, translate); err != nil {
		fail(w, err)
	}
}

// answer recognises the file of a form. What fails once it has begun to answer cuts
// the connection.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, translate bool) error {
	form := r.MultipartForm
	value := func(name string) string {
		if v := form.Value[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	format := value("response_format")
	if format == "" {
		format = "json"
	}
	if !slices.Contains([]string{"json", "verbose_json", "text", "srt", "vtt"}, format) {
		return bad("response_format", "response_format %q: give json, verbose_json, text, srt or vtt", format)
	}
	granularities := append(form.Value["timestamp_granularities[]"], form.Value["timestamp_granularities"]...)
	for _, g := range granularities {
		if g != "word" && g != "segment" {
			return bad("timestamp_granularities", "timestamp_granularities of %q: give word or segment", g)
		}
	}
	info := s.o.Recognizer.Info()
	o, err := options(info, value("language"), 0)
	if err != nil {
		return err
	}
	o.Translate = translate
	files := form.File["file"]
	if len(files) != 1 {
		return bad("file", "the form holds %d files under \"file\": send one", len(files))
	}
	file, err := files[0].Open()
	if err != nil {
		return err
	}
	defer file.Close()
	live, begun := value("stream") == "true", false
	var told func(string) error
	if live {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		told = func(delta string) error {
			begun = true
			return event(w, map[string]any{"type": "transcript.text.delta", "delta": delta})
		}
	}
	t, err := s.recognizeFile(r.Context(), file, files[0], o, told)
	if err != nil && begun {
		s.o.Log.Info("transcription", "error", err)
		panic(http.ErrAbortHandler) // as where a file was begun: the client sees that it is not whole
	}
	if err != nil {
		return err
	}
	if live {
		event(w, map[string]any{"type": "transcript.text.done", "text": t.text()})
		return nil
	}
	switch format {
	case "json":
		reply(w, map[string]any{"text": t.text()})
	case "verbose_json":
		reply(w, t.verbose(translate, granularities))
	case "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, t.text())
	case "srt":
		w.Header().Set("Content-Type", "application/x-subrip; charset=utf-8")
		t.subtitles(w, format)
	case "vtt":
		w.Header().Set("Content-Type", "text/vtt; charset=utf-8")
		t.subtitles(w, format)
	}
	return nil
}

// recognizeFile recognises an audio file; told, which may be nil, gets the text as
// it is committed.
func (s *Server) recognizeFile(ctx context.Context, file multipart.File, h *multipart.FileHeader, o asr.Options, told func(string) error) (*transcript, error) {
	info := s.o.Recognizer.Info()
	src, err := s.open(ctx, file, "file "+h.Filename, "transcribe")
	if err != nil {
		return nil, err
	}
	defer src.Close()
	mono := audio.NewMonoReader(src, info.SampleRate)
	// The start is read first: what ends within it is recognised as a whole.
	limit := offlineSeconds * info.SampleRate
	var pcm []float32
	block := make([]float32, info.SampleRate/5)
	ended := false
	for !ended && len(pcm) <= limit {
		n, err := mono.Read(block)
		pcm = append(pcm, block[:n]...)
		if err == io.EOF {
			ended = true
		} else if err != nil {
			return nil, err
		}
	}
	o.Offline = ended && told == nil
	stream, err := s.o.Recognizer.NewStream(o)
	if err != nil && o.Offline { // a model that only streams
		o.Offline = false
		stream, err = s.o.Recognizer.NewStream(o)
	}
	if err != nil {
		return nil, bad("", "%v", err)
	}
	t := &transcript{language: o.Language, seconds: float64(len(pcm)) / float64(info.SampleRate)}
	if t.language == "" && len(info.Languages) > 0 {
		t.language = info.Languages[0]
	}
	take := func(u asr.Update, err error) error {
		if err != nil {
			return err
		}
		if told != nil && len(u.Committed) > 0 {
			delta := textOf(u.Committed)
			if len(t.words) > 0 {
				delta = " " + delta
			}
			if err := told(delta); err != nil {
				return context.Canceled
			}
		}
		t.take(u, false)
		return nil
	}
	for len(pcm) > 0 {
		if err := src.t.next(ctx); err != nil {
			return nil, err
		}
		n := min(len(pcm), len(block))
		if err := take(stream.Push(pcm[:n])); err != nil {
			return nil, err
		}
		pcm = pcm[n:]
	}
	for !ended {
		n, err := mono.Read(block)
		if n > 0 {
			t.seconds += float64(n) / float64(info.SampleRate)
			if err := take(stream.Push(block[:n])); err != nil {
				return nil, err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if err := src.t.next(ctx); err != nil {
		return nil, err
	}
	err = take(stream.Flush())
	t.take(asr.Update{}, true)
	return t, err
}

// transcript is what was recognised in a file.
type transcript struct {
	language string
	seconds  float64
	words    []asr.Word
	segments []transcribe.Segment
	open     transcribe.Segmenter
}

func (t *transcript) take(u asr.Update, end bool) {
	t.words = append(t.words, u.Committed...)
	t.segments = append(t.segments, t.open.Add(u, end)...)
}

func textOf(words []asr.Word) string { return transcribe.Segment{Words: words}.Text() }

func (t *transcript) text() string { return textOf(t.words) }

// subtitles writes srt or vtt.
func (t *transcript) subtitles(w io.Writer, format string) error {
	out, err := transcribe.New(w, format, transcribe.About{})
	for _, s := range t.segments {
		if err == nil {
			err = out.Update(asr.Update{Committed: s.Words, Endpoint: true}, false)
		}
	}
	if err == nil {
		err = out.Close(0)
	}
	return err
}

// verbose is the value of verbose_json. Figures that a recogniser of this kind does
// not have hold the value that says nothing.
func (t *transcript) verbose(translate bool, granularities []string) any {
	type wordTime struct {
		Word  string  `json:"word"`
		Start float64 `json:"start"`
		End   float64 `json:"end"`
	}
	type segment struct {
		ID               int     `json:"id"`
		Seek             int     `json:"seek"`
		Start            float64 `json:"start"`
		End              float64 `json:"end"`
		Text             string  `json:"text"`
		Tokens           []int   `json:"tokens"`
		Temperature      float64 `json:"temperature"`
		AvgLogprob       float64 `json:"avg_logprob"`
		CompressionRatio float64 `json:"compression_ratio"`
		NoSpeechProb     float64 `json:"no_speech_prob"`
	}
	task := "transcribe"
	if translate {
		task = "translate"
	}
	v := map[string]any{"task": task, "language": t.language, "duration": t.seconds, "text": t.text()}
	if slices.Contains(granularities, "word") {
		words := []wordTime{}
		for _, w := range t.words {
			words = append(words, wordTime{w.Text, w.Start.Seconds(), w.End.Seconds()})
		}
		v["words"] = words
	}
	if len(granularities) == 0 || slices.Contains(granularities, "segment") {
		segments := []segment{}
		for i, s := range t.segments {
			var log float64
			for _, w := range s.Words {
				log += math.Log(min(max(w.Confidence, 1e-4), 1)) / float64(len(s.Words))
			}
			segments = append(segments, segment{
				ID: i, Start: s.Start().Seconds(), End: s.End().Seconds(), Text: s.Text(),
				Tokens: []int{}, AvgLogprob: log, CompressionRatio: 1,
			})
		}
		v["segments"] = segments
	}
	return v
}
