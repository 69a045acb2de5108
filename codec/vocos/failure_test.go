package vocos

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/device"
)

// Spectra, sound and tokens on devices that fail: that is an error of the call.
func TestFailingDevice(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	const name = "failing"
	mel, tokens := load(t, "testdata/mel"), load(t, "testdata/encodec")
	pcm := readSpectral(t, "testdata/mel.fixture.safetensors")[0].pcm
	codes := &codec.Tokens{Frames: 6, Codebooks: tokens.Info().Codebooks()}
	codes.Codes = make([]int32, codes.Frames*codes.Codebooks)
	run := func(mel, tokens *Model) (wave []float32, err error) {
		analysis, err := mel.NewAnalysis()
		if err != nil {
			return nil, err
		}
		frames, err := analysis.Push(nil, pcm)
		if err != nil {
			return nil, err
		}
		if frames, err = analysis.Flush(frames); err != nil {
			return nil, err
		}
		synthesis, err := mel.NewSynthesis()
		if err != nil {
			return nil, err
		}
		if wave, err = synthesis.Push(nil, frames); err != nil {
			return nil, err
		}
		if wave, err = synthesis.Flush(wave); err != nil {
			return nil, err
		}
		decoded, err := tokens.Decode(context.Background(), codes)
		return append(wave, decoded...), err
	}
	want, err := run(mel, tokens)
	if err != nil {
		t.Fatal(err)
	}
	backendtest.Failures(t, cpu.New(0), 60, func(f *backendtest.Failing) error {
		device.Add(name, f)
		a, err := mel.On(name)
		if err != nil {
			return err
		}
		b, err := tokens.On(name)
		if err != nil {
			return err
		}
		got, err := run(a, b)
		if err == nil && !slices.Equal(got, want) {
			err = errors.New("other samples than before")
		}
		return err
	})
	if after, err := run(mel, tokens); err != nil || !slices.Equal(after, want) {
		t.Errorf("the processor gives other samples after failures (%v)", err)
	}
}
