package sotto

import (
	"errors"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/device"
)

// Streams of samples and of tokens on devices that fail: that is an error of the call, and
// the processor hears what it heard before.
func TestFailingDevice(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	const name = "failing"
	m := load(t)
	pcm := clip(t)[:16000]
	codes := make([]int32, 40*m.codec.Info().Codebooks())
	for i := range codes {
		codes[i] = int32(i * 37 % 1024)
	}
	run := func(m *Model) (words []asr.Word, err error) {
		var u asr.Update
		hear := func(now asr.Update, err error) error {
			u = now
			words = append(append(words, u.Committed...), u.Tentative...)
			return err
		}
		s, err := m.NewStream(asr.Options{})
		if err != nil {
			return nil, err
		}
		for at := 0; at < len(pcm); at += 5000 {
			if err := hear(s.Push(pcm[at:min(at+5000, len(pcm))])); err != nil {
				return nil, err
			}
		}
		if err := hear(s.Flush()); err != nil {
			return nil, err
		}
		s.Reset()
		tokens, err := m.NewTokenStream(m.codec.Info().Codebooks(), asr.Options{Offline: true})
		if err != nil {
			return nil, err
		}
		if err := hear(tokens.PushTokens(codes)); err != nil {
			return nil, err
		}
		return words, hear(tokens.Flush())
	}
	want, err := run(m)
	if err != nil || len(want) == 0 {
		t.Fatalf("%v, %v", want, err)
	}
	held := func(words []asr.Word, err error) error {
		if err == nil && !slices.Equal(words, want) {
			err = errors.New("other words than before")
		}
		return err
	}
	backendtest.Failures(t, cpu.New(0), 30, func(f *backendtest.Failing) error {
		device.Add(name, f)
		on, err := m.On(name)
		if err != nil {
			return err
		}
		return held(run(on))
	})
	if err := held(run(m)); err != nil {
		t.Errorf("the processor after failures: %v", err)
	}
}
