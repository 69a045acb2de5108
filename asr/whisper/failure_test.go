package whisper

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// Whole recordings, streams, times of words and adapters on devices that fail: that is an
// error of the call, and the processor gives what it gave before.
func TestFailingDevice(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	d := tiny
	d.AudioContext, d.AudioWidth, d.TextWidth, d.AudioLayers = 1500, 16, 16, 1
	c := synthCheckpoint(d)
	pcm := recording(t, "speech.wav")[:SampleRate]
	one := spoken(t, 1)
	run := func(b backend.Backend) (text string, err error) {
		m, err := newModel(c, b, backend.Float32, randomAdapter(d, 2, time.Second))
		if err != nil {
			return "", err
		}
		options := Options{Temperatures: []float64{0}, NoSpeech: 1, LogProb: math.Inf(-1), Silence: math.Inf(-1), Words: true, Language: "en", most: 3}
		whole, err := m.Transcribe(context.Background(), pcm, options, nil)
		if err != nil {
			return "", err
		}
		text = fmt.Sprint(whole)
		words, err := m.Align(pcm, "the curious", "en")
		if err != nil {
			return "", err
		}
		text += fmt.Sprint(words)
		for _, o := range []asr.Options{{Chunk: 300 * time.Millisecond, Language: "en"}, {Chunk: time.Second, Language: "en", Beam: 2}} {
			s, err := m.NewStream(o)
			if err != nil {
				return "", err
			}
			now, err := s.Push(pcm)
			if err != nil {
				return "", err
			}
			last, err := s.Flush()
			if err != nil {
				return "", err
			}
			s.Reset()
			text += fmt.Sprint(now, last)
		}
		plain, err := newModel(c, b, backend.Float32, nil)
		if err != nil {
			return "", err
		}
		tuner, err := NewTuner(plain, &Adapter{Rank: 2, Alpha: 4, Chunk: 300 * time.Millisecond}, 1)
		if err != nil {
			return "", err
		}
		learnt, err := tuner.Learn([]*Utterance{one}, "en", 0.5, 5e-3)
		if err != nil {
			return "", err
		}
		loss, err := tuner.Loss(one, "en", 1)
		return text + fmt.Sprint(learnt, loss), err
	}
	want, err := run(cpu.New(1))
	if err != nil {
		t.Fatal(err)
	}
	held := func(text string, err error) error {
		if err == nil && text != want {
			err = errors.New("something else than before came out")
		}
		return err
	}
	backendtest.Failures(t, cpu.New(1), 8, func(f *backendtest.Failing) error { return held(run(f)) })
	if err := held(run(cpu.New(1))); err != nil {
		t.Errorf("the processor after failures: %v", err)
	}
}
