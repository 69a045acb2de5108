package whisper

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/backend"
)

func init() {
	asr.RegisterFormat("whisper", isCheckpoint, func(path string) (asr.Recognizer, error) { return Load(path) })
}

// isCheckpoint tells checkpoints by a few bytes or their config.json.
func isCheckpoint(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	dir := path
	if !info.IsDir() {
		f, err := os.Open(path)
		if err != nil {
			return false
		}
		defer f.Close()
		switch format(f) {
		case formatGGML:
			return true
		case formatPyTorch:
			c, err := openPyTorch(f, info.Size())
			return err == nil && c.dims.Vocabulary > 0
		case formatSafetensors:
			dir = filepath.Dir(path)
		default:
			return false
		}
	}
	var config struct {
		Type string `json:"model_type"`
	}
	return readJSON(filepath.Join(dir, "config.json"), &config) == nil && config.Type == "whisper"
}

// windows is the chunk that stands for windows of 30 s, as the checkpoints are
// trained with.
const windows = 30 * time.Second

// Chunks of the causal mode.
var causalChunks = []time.Duration{time.Second, 300 * time.Millisecond, 200 * time.Millisecond, 100 * time.Millisecond, 40 * time.Millisecond}

// chunks lists the chunks, the default first.
func (m *Model) chunks() []time.Duration {
	all := append([]time.Duration{windows}, causalChunks...)
	if m.adapter != nil && m.adapter.Chunk != 0 {
		all = []time.Duration{m.adapter.Chunk}
		for _, c := range append(causalChunks, windows) {
			if c != m.adapter.Chunk {
				all = append(all, c)
			}
		}
	}
	return all
}

// Info describes the model. A chunk of 30 s decodes windows as the checkpoints are
// trained; the others hear causally, which they are good at with an adapter only.
func (m *Model) Info() asr.Info {
	info := asr.Info{
		Name: m.name(), Family: "whisper", SampleRate: SampleRate, Chunks: m.chunks(),
		Parameters: m.dims.parameters(), Languages: []string{"en"},
	}
	if m.tokenizer.Multilingual() {
		info.Languages = nil
		for _, l := range languages[:m.tokenizer.languages] {
			info.Languages = append(info.Languages, l.code)
		}
	}
	return info
}

// parameters is the number of trained values.
func (d dims) parameters() int {
	w := d.AudioWidth
	attention := 4*w*w + 3*w + 2*w // with its norm
	perceptron := 8*w*w + 5*w + 2*w
	encoder := 3*w*d.Mels + w + 3*w*w + w + d.AudioLayers*(attention+perceptron) + 2*w
	decoder := (d.Vocabulary+d.TextContext)*w + d.TextLayers*(2*attention+perceptron) + 2*w
	return encoder + decoder
}

// check refuses options that the model does not have.
func (m *Model) check(o asr.Options) (chunk time.Duration, err error) {
	chunk = o.Chunk
	all := m.chunks()
	if chunk == 0 {
		chunk = all[0]
	}
	known := false
	var list []string
	for _, c := range all {
		known = known || c == chunk
		list = append(list, c.String())
	}
	switch {
	case !known:
		return 0, fmt.Errorf("whisper: there is no chunk of %v: %s", chunk, strings.Join(list, ", "))
	case o.LM != "" && o.LM != "none":
		return 0, errors.New("whisper: the decoder is a language model itself and takes no other")
	case o.Translate && !m.tokenizer.Multilingual():
		return 0, errors.New("whisper: this model knows English only and does not translate")
	case o.Beam < 0 || o.Beam > 64:
		return 0, fmt.Errorf("whisper: %d hypotheses: 1 to 64 are possible", o.Beam)
	}
	if _, err := m.language(o.Language); err != nil {
		return 0, err
	}
	return chunk, nil
}

// Latency is the chunk and the 200 samples that the front end looks ahead.
func (m *Model) Latency(o asr.Options) (time.Duration, error) {
	chunk, err := m.check(o)
	if err != nil || o.Offline {
		return 0, err
	}
	return chunk + half*time.Second/SampleRate, nil
}

// NewStream starts a stream. Offline, and with a chunk of 30 s, a beam of 5 is the
// default as in the original command line; the causal modes are greedy by default.
func (m *Model) NewStream(o asr.Options) (asr.Stream, error) {
	chunk, err := m.check(o)
	if err != nil {
		return nil, err
	}
	if !o.Offline && chunk != windows {
		startup := 0
		if m.adapter != nil {
			startup = m.adapter.Startup
		}
		return m.causal(o, int(chunk/positionTime), startup)
	}
	w := DefaultOptions()
	w.Language, w.Translate = o.Language, o.Translate
	if o.Beam > 0 {
		w.Beam = o.Beam
	}
	t, err := m.transcriber(w)
	if err != nil {
		return nil, err
	}
	return &windowed{t, o.Offline}, nil
}

// positionTime is the length of a position of the encoder.
const positionTime = time.Second / statesPerSecond

// windowed transcribes windows of 30 s as they become whole, or, offline, when the
// whole input is there: then its loudest sound is known from the first window on.
type windowed struct {
	*transcriber
	offline bool
}

func (w *windowed) Reset() { w.reset() }

func (w *windowed) Push(pcm []float32) (_ asr.Update, err error) {
	defer backend.Recover(&err)
	w.push(pcm)
	for frames := len(w.mel)/w.dims.Mels + w.seek; !w.offline && frames-w.seek >= windowFrames; {
		w.window(frames)
	}
	return w.take(), nil
}

func (w *windowed) Flush() (_ asr.Update, err error) {
	defer backend.Recover(&err)
	w.finish()
	for frames := w.samples / hop; w.seek < frames; {
		w.window(frames)
	}
	u := w.take()
	u.Endpoint = true
	return u, nil
}

// take gives the words of the segments so far.
func (w *windowed) take() asr.Update {
	var u asr.Update
	at := func(s float64) time.Duration { return time.Duration(math.Round(s*1000)) * time.Millisecond }
	for _, s := range w.segments {
		for _, word := range s.Words {
			if text := strings.TrimSpace(word.Text); text != "" {
				u.Committed = append(u.Committed, asr.Word{
					Text: text, Start: at(word.Start), End: at(word.End), Confidence: word.Probability,
					Emitted: time.Duration(w.samples) * time.Second / SampleRate,
				})
			}
		}
	}
	w.segments = nil
	return u
}
