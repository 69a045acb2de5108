package ngram

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"testing"
)

// BenchmarkShipped reads the model that ships as the first transcription does.
func BenchmarkShipped(b *testing.B) {
	file, err := os.ReadFile("../../asr/sotto/weights/sotto-lm-en-v2.lm.gz")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := gzip.NewReader(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		text := make([]byte, binary.LittleEndian.Uint32(file[len(file)-4:]))
		if _, err := io.ReadFull(r, text); err != nil {
			b.Fatal(err)
		}
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
