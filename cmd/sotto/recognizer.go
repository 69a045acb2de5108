package main

import (
	"fmt"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/asr/sotto"
	"github.com/sotto-audio/sotto/asr/whisper"
)

// embeddedRecognizer is the recogniser inside this program.
func embeddedRecognizer() (asr.Recognizer, error) { return sotto.Default() }

// adapt gives the recogniser with an adapter and in another precision.
func (f *recognizerFlags) adapt(r asr.Recognizer) (asr.Recognizer, error) {
	m, ok := r.(*whisper.Model)
	var err error
	switch {
	case f.Adapter != "" && !ok:
		return nil, &usageError{fmt.Errorf("--adapter %s: %s takes no adapters: they are for Whisper checkpoints", f.Adapter, r.Info().Name)}
	case f.reduced() && !ok:
		return nil, &usageError{fmt.Errorf("--precision %s: %s works in f32 only: leave --precision out", f.Precision, r.Info().Name)}
	case f.Adapter != "":
		a, err := whisper.LoadAdapter(f.Adapter)
		if err != nil {
			return nil, err
		}
		if m, err = m.With(a); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Adapter, err)
		}
		r = m
	}
	if ok && f.reduced() {
		r, err = m.In(whisper.Precision(f.Precision))
	}
	return r, err
}

// soon is the first of a recogniser's chunks that answers while somebody waits.
func soon(chunks []time.Duration) time.Duration {
	for _, c := range chunks {
		if c <= 2*time.Second {
			return c
		}
	}
	return 0
}

// reduced says whether another precision than the usual one is asked for.
func (f *recognizerFlags) reduced() bool { return f.Precision != "" && f.Precision != "f32" }
