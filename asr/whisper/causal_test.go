package whisper

import (
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/weights"
)

// endingModel is synth.ending of a model.
func endingModel(t testing.TB, d dims, push float32) *Model {
	t.Helper()
	c := synthCheckpoint(d)
	read := c.read
	c.read = func(name string) (weights.Tensor, error) {
		v, err := read(name)
		if name == "decoder.ln.bias" {
			const eot = 50257
			e := synthTensor("decoder.token_embedding.weight", []int{d.Vocabulary, d.TextWidth}).Data[eot*d.TextWidth : (eot+1)*d.TextWidth]
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
		c.pause = 1 << 30 // the reference does not know of pauses
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
