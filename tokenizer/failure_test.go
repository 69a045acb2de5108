package tokenizer

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/device"
)

// A device that fails ends a run: its files are not damaged ones, which would be left
// out. The run goes on later as if nothing had been.
func TestFailingDevice(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		tone(t, filepath.Join(dir, "in", fmt.Sprintf("%d.wav", i)), 16000, 3000+800*i)
	}
	in := &Inputs{Paths: []string{filepath.Join(dir, "in")}}
	m := native(t).(*sotto.Model)
	want := corpus(t, filepath.Join(dir, "whole"), m, in, RunConfig{Format: Parquet, Shards: 1}, 0)
	for i, n := range []int{0, 10, 60} {
		f := backendtest.NewFailing(cpu.New(0), true)
		device.Add("failing", f)
		on, err := m.On("failing")
		if err != nil {
			t.Fatal(err)
		}
		v, err := NewVocabulary(m.Info(), 2, VocabularyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, fmt.Sprint("out", i))
		r, err := NewRun(out, on, v, RunConfig{Format: Parquet, Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		f.After(n)
		err = r.Parts(t.Context(), in, 0, false, func(p *Part) error {
			_, err := r.Encode(t.Context(), p, func(Progress) {})
			return err
		})
		if !errors.Is(err, backendtest.ErrFailing) {
			t.Fatalf("%d operations: error %v", n, err)
		}
		if got := corpus(t, out, m, in, RunConfig{Format: Parquet, Shards: 1}, 0); got.Utterances != want.Utterances || got.Frames != want.Frames || got.Failed > 0 {
			t.Errorf("%d operations: %+v after the failure, without it %+v", n, got, want)
		}
	}
}
