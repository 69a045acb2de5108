package whisper

import (
	"os"
	"strconv"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// benchModel loads the checkpoint that SOTTO_WHISPER names, in the precision and on
// the threads that SOTTO_PRECISION and SOTTO_THREADS name.
func benchModel(b *testing.B) *Model {
	path := os.Getenv("SOTTO_WHISPER")
	if path == "" {
		b.Skip("SOTTO_WHISPER names no checkpoint")
	}
	n, _ := strconv.Atoi(os.Getenv("SOTTO_THREADS"))
	p := map[string]backend.Precision{"": backend.Float32, "f32": backend.Float32, "bf16": backend.BFloat16, "int8": backend.Int8}[os.Getenv("SOTTO_PRECISION")]
	m, err := open(path, cpu.New(n), p, nil)
	if err == nil {
		err = m.ready()
	}
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// A window of 30 s in the encoder, then 256 single tokens of one text, as
// whisper.cpp's whisper-bench has it.
func BenchmarkEncode(b *testing.B) {
	m := benchModel(b)
	e := m.encoder.start(m.backend)
	e.mel = make([]float32, windowFrames*m.dims.Mels)
	for b.Loop() {
		e.done = 0
		e.step(m.dims.AudioContext)
	}
}

func BenchmarkDecode256(b *testing.B) {
	m := benchModel(b)
	e := m.encoder.start(m.backend)
	e.mel = make([]float32, windowFrames*m.dims.Mels)
	r := m.decoder.start(m.backend, 1, m.dims.AudioContext)
	r.listen(e.step(m.dims.AudioContext))
	for b.Loop() {
		r.reset()
		for range 256 {
			r.predict(r.step([]int32{0}, 1))
		}
	}
}
