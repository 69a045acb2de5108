package encodec

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/device"
)

// Segments of the stereo model, and files that a language model codes, on devices that
// fail: that is an error of the call, and the processor gives what it gave before.
func TestFailingDevice(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	const name = "failing"
	m := load(t, "testdata/stereo.th")
	rng := rand.New(rand.NewPCG(1, 1))
	pcm := make([]float32, 2*16000)
	for i := range pcm {
		pcm[i] = float32(rng.NormFloat64() / 10)
	}
	type result struct {
		wave []float32
		file []byte
	}
	run := func(m *Model, lm *LanguageModel) (r result, err error) {
		segments, err := m.EncodeSegments(context.Background(), pcm, 0)
		if err != nil {
			return r, err
		}
		if r.wave, err = m.DecodeSegments(context.Background(), segments); err != nil {
			return r, err
		}
		for i := range segments {
			segments[i].Frames = min(segments[i].Frames, 6)
			segments[i].Codes = segments[i].Codes[:segments[i].Frames*segments[i].Codebooks]
		}
		samples := int64(6 * m.net.Hop)
		var file bytes.Buffer
		if err := m.WriteECDCWith(&file, samples, segments[:1], lm); err != nil {
			return r, err
		}
		r.file = slices.Clone(file.Bytes())
		h, err := ReadHeader(&file)
		if err != nil {
			return r, err
		}
		back, err := m.ReadECDCWith(&file, h, lm)
		if err == nil && !slices.Equal(back[0].Codes, segments[0].Codes) {
			err = errors.New("other codes come back")
		}
		return r, err
	}
	want, err := run(m, languageModel(t, m))
	if err != nil {
		t.Fatal(err)
	}
	held := func(r result, err error) error {
		if err == nil && (!slices.Equal(r.wave, want.wave) || !bytes.Equal(r.file, want.file)) {
			err = errors.New("other samples or another file than before")
		}
		return err
	}
	backendtest.Failures(t, cpu.New(0), 60, func(f *backendtest.Failing) error {
		device.Add(name, f)
		on, err := m.On(name)
		if err != nil {
			return err
		}
		return held(run(on, languageModel(t, on)))
	})
	if err := held(run(m, languageModel(t, m))); err != nil {
		t.Errorf("the processor after failures: %v", err)
	}
}
