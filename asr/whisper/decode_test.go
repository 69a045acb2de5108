package whisper

import (
	"math"
	"slices"
	"testing"
)

func (w decoded) check(t *testing.T, name string, got decodeResult) {
	t.Helper()
	if !slices.Equal(got.tokens, w.Tokens) {
		t.Errorf("%s: tokens\n%v, want\n%v", name, got.tokens, w.Tokens)
		return
	}
	if d := math.Abs(got.logProb - w.LogProb); d > 1e-4 {
		t.Errorf("%s: mean log-probability differs by %g", name, d)
	}
	if d := math.Abs(got.noSpeech - w.NoSpeech); d > 1e-4*w.NoSpeech+1e-9 {
		t.Errorf("%s: probability of no speech %g, want %g", name, got.noSpeech, w.NoSpeech)
	}
	// zlib's implementations differ in size by a little.
	if d := math.Abs(got.compression/w.Compression - 1); d > 0.1 {
		t.Errorf("%s: compression %g, want %g", name, got.compression, w.Compression)
	}
}

func TestTextsAreThoseOfTheOriginal(t *testing.T) {
	var want map[string]*expectation
	readFixture(t, "expected.json", &want)
	for name, w := range want {
		m := checkModel(t, name, w)
		e := m.encoder.start(m.backend)
		e.mel = append(e.mel, firstWindow(m, recording(t, "speech.wav"))...)
		r := m.decoder.start(m.backend, 5, m.dims.AudioContext)
		r.listen(e.step(m.dims.AudioContext))
		run := func(what string, w decoded, o decodeOptions) {
			t.Helper()
			w.check(t, name+" "+what, m.decode(r, o, nil))
		}
		text := func(s string) []int32 { return m.tokenizer.Encode(s) }
		run("greedy", w.Greedy, decodeOptions{most: 80, lengthPenalty: -1})
		run("rules", w.Rules, decodeOptions{most: 60, lengthPenalty: -1, timestamps: true})
		run("beam", w.Beam, decodeOptions{most: 60, lengthPenalty: -1, beam: 5})
		run("beam with rules", w.BeamRules, decodeOptions{most: 60, lengthPenalty: 0.6, beam: 3, patience: 2, timestamps: true})
		run("prompt", w.Prompt, decodeOptions{most: 60, lengthPenalty: -1, timestamps: true, prompt: text(" What came before."), prefix: text(" And then")})
		if w.Languages != nil {
			run("translation", w.Translate, decodeOptions{most: 40, lengthPenalty: -1, timestamps: true, translate: true, language: findLanguage("german", 99)})
			for i, p := range m.languageProbabilities(r) {
				if want := w.Languages[languages[i].code]; math.Abs(p-want) > 1e-4*want+1e-7 {
					t.Errorf("%s: probability of %s is %g, want %g", name, languages[i].code, p, want)
				}
			}
		}
	}
}
