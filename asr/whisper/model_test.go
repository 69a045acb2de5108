package whisper

import (
	"math"
	"os"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

// expectation is what the original code gives for a model of synth.py.
type expectation struct {
	Sizes       sizes
	Mel         []float64
	States      []float64
	Logits      []float64
	Greedy      decoded
	Rules       decoded
	Beam        decoded
	BeamRules   decoded `json:"beam_rules"`
	Prompt      decoded
	Translate   decoded
	Languages   map[string]float64
	Transcripts []struct {
		Options struct {
			Words     bool     `json:"word_timestamps"`
			Condition *bool    `json:"condition_on_previous_text"`
			Prompt    string   `json:"initial_prompt"`
			LogProb   *float64 `json:"logprob_threshold"`
		}
		Result struct {
			Language string
			Segments []struct {
				Seek       int
				Start, End float64
				Tokens     []int32
				Words      [][4]any
			}
		}
	}
}

type decoded struct {
	Tokens      []int32
	LogProb     float64 `json:"avg_logprob"`
	NoSpeech    float64 `json:"no_speech_prob"`
	Compression float64 `json:"compression_ratio"`
	Text        string
}

// worst is the largest difference.
func worst(got []float32, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	w := 0.0
	for i, v := range got {
		d := math.Abs(float64(v) - want[i])
		if !(d <= w) {
			w = d
		}
	}
	return w
}

// every takes each n-th row of x and each m-th value of it.
func every(x []float32, cols, n, m int) []float32 {
	var out []float32
	for r := 0; r < len(x)/cols; r += n {
		for c := 0; c < cols; c += m {
			out = append(out, x[r*cols+c])
		}
	}
	return out
}

// firstWindow gives the mel frames of the first 30 s, as transcription does.
func firstWindow(m *Model, pcm []float32) []float32 {
	s := melStream{melBands: m.mel}
	mel := s.push(nil, pcm)
	mel = s.push(mel, make([]float32, 30*SampleRate))
	top := maximum(mel)
	for i, v := range mel {
		mel[i] = normalise(v, top)
	}
	return mel[:3000*m.dims.Mels]
}

// checkModel compares states and logits; of published sizes there are fewer.
func checkModel(t *testing.T, name string, w *expectation) *Model {
	rows, cols, words := 100, 1, 997
	if w.Mel == nil {
		rows, cols, words = 500, 7, 3988
	}
	m := synthModel(t, dims(w.Sizes), backend.Float32)
	mel := firstWindow(m, recording(t, "speech.wav"))
	if w.Mel != nil {
		if d := worst(every(mel, m.dims.Mels, 97, 1), w.Mel); d > 1e-4 {
			t.Errorf("%s: mel bands differ by %g", name, d)
		} else {
			t.Logf("%s: mel bands within %.2g", name, d)
		}
	}
	e := m.encoder.start(m.backend)
	e.mel = append(e.mel, mel...)
	states := e.step(m.dims.AudioContext)
	if d := worst(every(states.Data, states.Cols, rows, cols), w.States); d > 1e-4 {
		t.Errorf("%s: states differ by %g", name, d)
	} else {
		t.Logf("%s: states within %.2g", name, d)
	}
	tokens := []int32{50258, 50259, 50359, 50363, 11, 2425, 40612, 314, 50000, 7, 1029, 770}
	for _, parts := range [][]int{{12}, {4, 1, 1, 1, 5}} {
		r := m.decoder.start(m.backend, 1, m.dims.AudioContext)
		r.listen(states)
		var got []float32
		at := 0
		for _, n := range parts {
			logits := r.predict(r.step(tokens[at:at+n], n))
			got = append(got, every(logits.Data, logits.Cols, 1, words)...)
			at += n
		}
		if d := worst(got, w.Logits); d > 1e-4 {
			t.Errorf("%s: logits differ by %g", name, d)
		} else {
			t.Logf("%s: logits within %.2g", name, d)
		}
	}
	return m
}

// The models at the sizes that are published: minutes of work, so only where
// SOTTO_PUBLISHED is set.
func TestPublishedSizes(t *testing.T) {
	if os.Getenv("SOTTO_PUBLISHED") == "" {
		t.Skip("SOTTO_PUBLISHED is not set")
	}
	var want map[string]*expectation
	readFixture(t, "expected-published.json", &want)
	for name, w := range want {
		m := checkModel(t, name, w)
		e := m.encoder.start(m.backend)
		e.mel = append(e.mel, firstWindow(m, recording(t, "speech.wav"))...)
		r := m.decoder.start(m.backend, 1, m.dims.AudioContext)
		r.listen(e.step(m.dims.AudioContext))
		w.Greedy.check(t, name, m.decode(r, decodeOptions{most: 80, lengthPenalty: -1}, nil))
		distinct := map[int32]bool{}
		for _, token := range w.Greedy.Tokens {
			distinct[token] = true
		}
		t.Logf("%s: %d tokens, %d distinct", name, len(w.Greedy.Tokens), len(distinct))
	}
}
