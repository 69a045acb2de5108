package whisper

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/weights"
)

// endingModel is synth.ending of a model.
func endingModel(t testing.TB, d dims, push float32) *Model { return pushed(t, d, push, 50257) }

// pushed is a model that finds a token likelier.
func pushed(t testing.TB, d dims, push float32, token int) *Model {
	t.Helper()
	c := synthCheckpoint(d)
	read := c.read
	c.read = func(name string) (weights.Tensor, error) {
		v, err := read(name)
		if name == "decoder.ln.bias" {
			e := synthTensor("decoder.token_embedding.weight", []int{d.Vocabulary, d.TextWidth}).Data[token*d.TextWidth : (token+1)*d.TextWidth]
			var norm float32
			for _, x := range e {
				norm += x * x
			}
			for i, x := range e {
				v.Data[i] += push * x / norm
			}
		}
		return v, err
	}
	m, err := newModel(c, threads(), backend.Float32, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type causalExpectation struct {
	Sizes   sizes
	Streams map[string]struct {
		Startup int
		Push    float32
		Tokens  []int32
		Trace   [][2]int
	}
}

// The whole of the input was heard, in chunks, with the results that a plain
// computation of everything anew for every token gives.
func TestCausalModeIsTheMaskedReference(t *testing.T) {
	var want causalExpectation
	readFixture(t, "expected-causal.json", &want)
	pcm := long(t)[:33*SampleRate]
	for name, w := range want.Streams {
		ms, err := time.ParseDuration(name + "ms")
		if err != nil {
			t.Fatal(err)
		}
		m := endingModel(t, dims(want.Sizes), w.Push)
		c, err := m.causal(asr.Options{Language: "en"}, int(ms/(20*time.Millisecond)), w.Startup)
		if err != nil {
			t.Fatal(err)
		}
		c.pause, c.silence = 1<<30, 0 // the reference does not know of pauses
		var tokens []int32
		var trace [][2]int
		c.observe = func(restart bool) {
			if restart {
				for _, x := range c.text {
					tokens = append(tokens, x.id)
				}
				return
			}
			trace = append(trace, [2]int{len(c.text), c.settled})
		}
		if _, err := c.Push(pcm); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		c.observe(true)
		for i, x := range w.Trace {
			if i >= len(trace) || trace[i] != x {
				t.Errorf("%s ms: after chunk %d of %d, %d: %v, want %v", name, i, len(trace), len(w.Trace), trace[min(i, len(trace)-1)], x)
				break
			}
		}
		if !slices.Equal(tokens, w.Tokens) {
			t.Errorf("%s ms: tokens\n%v, want\n%v", name, tokens, w.Tokens)
		}
		t.Logf("%s ms: %d chunks, %d tokens", name, len(trace), len(tokens))
	}
}

// collect feeds a stream in pieces and gives what was committed, with the emission
// times, which depend on the input alone.
func collect(t *testing.T, s asr.Stream, pcm []float32, piece func() int) []asr.Word {
	t.Helper()
	s.Reset()
	var words []asr.Word
	for len(pcm) > 0 {
		n := min(piece(), len(pcm))
		u, err := s.Push(pcm[:n])
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, u.Committed...)
		pcm = pcm[n:]
	}
	u, err := s.Flush()
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Tentative) > 0 {
		t.Error("something is tentative after the end")
	}
	return append(words, u.Committed...)
}

func TestAnySplitGivesTheSame(t *testing.T) {
	var want causalExpectation
	readFixture(t, "expected-causal.json", &want)
	m := endingModel(t, dims(want.Sizes), 13)
	// With pauses of silence, at the start, too, and detection of the language.
	pcm := slices.Concat(make([]float32, 3*SampleRate+7), recording(t, "speech.wav"), make([]float32, 2*SampleRate), recording(t, "flite.flac"))
	rng := rand.New(rand.NewPCG(1, 2))
	for _, o := range []asr.Options{{Chunk: 300 * time.Millisecond}, {Chunk: time.Second, Beam: 3, Language: "ja"}} {
		s, err := m.NewStream(o)
		if err != nil {
			t.Fatal(err)
		}
		whole := collect(t, s, pcm, func() int { return len(pcm) })
		parts := collect(t, s, pcm, func() int { return 1 + rng.IntN(9000) })
		if len(whole) < 5 || !slices.Equal(whole, parts) {
			t.Errorf("%+v: %d words\n%v\nin parts %d\n%v", o, len(whole), whole, len(parts), parts)
		}
		for i, w := range whole {
			if w.Start > w.End || w.Emitted < w.End || i > 0 && (w.Emitted < whole[i-1].Emitted || w.End < whole[i-1].End) {
				t.Errorf("%+v: word %d is %+v after %+v", o, i, w, whole[max(i-1, 0)])
				break
			}
		}
	}
}

func TestSilenceHasNoWords(t *testing.T) {
	var want causalExpectation
	readFixture(t, "expected-causal.json", &want)
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(level float32, minutes int) []float32 {
		quiet := make([]float32, minutes*60*SampleRate)
		for i := range quiet {
			quiet[i] = level * float32(2*rng.Float64()-1)
		}
		return quiet
	}
	random := endingModel(t, dims(want.Sizes), 0)
	// A model that says that there is no speech, and is not sure of its text.
	sure := pushed(t, dims(want.Sizes), 22, 50362)
	for _, c := range []struct {
		name    string
		model   *Model
		level   float32
		minutes int
		o       asr.Options
	}{
		{"digital silence", random, 0, 2, asr.Options{}},
		{"digital silence, live", random, 0, 2, asr.Options{Chunk: 300 * time.Millisecond}},
		{"a quiet line", random, 1e-4, 10, asr.Options{Offline: true}},
		{"a quiet line, live", random, 1e-4, 2, asr.Options{Chunk: time.Second}},
		{"noise without speech", sure, 0.01, 10, asr.Options{Language: "en", Beam: 1}},
	} {
		s, err := c.model.NewStream(c.o)
		if err != nil {
			t.Fatal(err)
		}
		if words := collect(t, s, noise(c.level, c.minutes), func() int { return SampleRate }); len(words) > 0 {
			t.Errorf("%s: %v", c.name, words[:min(5, len(words))])
		}
	}
	// The model is not silent by nature.
	s, err := random.NewStream(asr.Options{Chunk: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if words := collect(t, s, recording(t, "speech.wav"), func() int { return SampleRate }); len(words) == 0 {
		t.Error("speech has no words either")
	}
}
