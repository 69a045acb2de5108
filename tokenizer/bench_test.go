package tokenizer

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/audio"
)

// BenchmarkCorpus compares a corpus run, from files to a data set, with the
// codec's own rate on the same sound in memory, turn by turn.
func BenchmarkCorpus(b *testing.B) {
	data := os.Getenv("SOTTO_DATA")
	if data == "" {
		b.Skip("SOTTO_DATA is not set")
	}
	flac := filepath.Join(data, "speech", "vctk")
	wav := b.TempDir()
	names, _ := filepath.Glob(filepath.Join(flac, "*.flac"))
	for _, name := range names {
		x, err := audio.ReadMono(name, 16000)
		if err != nil {
			b.Fatal(err)
		}
		f, err := os.Create(filepath.Join(wav, filepath.Base(name)+".wav"))
		if err != nil {
			b.Fatal(err)
		}
		w, err := audio.NewWAVWriter(f, audio.Format{SampleRate: 16000, Channels: 1})
		if err == nil {
			err = errors.Join(w.Write(x), w.Close(), f.Close())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("flac", func(b *testing.B) { benchmarkCorpus(b, flac) })
	b.Run("wav", func(b *testing.B) { benchmarkCorpus(b, wav) })
}

func benchmarkCorpus(b *testing.B, folder string) {
	m := native(b)
	var pcm [][]float32
	seconds := 0.0
	files, _ := filepath.Glob(filepath.Join(folder, "*"))
	for _, name := range files {
		x, err := audio.ReadMono(name, m.Info().SampleRate)
		if err != nil {
			b.Fatal(err)
		}
		pcm = append(pcm, x)
		seconds += float64(len(x)) / float64(m.Info().SampleRate)
	}
	var codec, run time.Duration
	for b.Loop() {
		start := time.Now()
		var wg sync.WaitGroup
		work := make(chan []float32)
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for x := range work {
					if _, err := m.Encode(b.Context(), x, 2); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for _, x := range pcm {
			work <- x
		}
		close(work)
		wg.Wait()
		codec += time.Since(start)
		start = time.Now()
		r := corpus(b, b.TempDir(), m, &Inputs{Paths: []string{folder}}, RunConfig{Format: Parquet}, 0)
		run += time.Since(start)
		if r.Utterances != len(pcm) {
			b.Fatalf("%d utterances of %d", r.Utterances, len(pcm))
		}
	}
	n := float64(b.N)
	b.ReportMetric(seconds*n/codec.Seconds(), "x-codec")
	b.ReportMetric(seconds*n/run.Seconds(), "x-corpus")
	b.ReportMetric(codec.Seconds()/run.Seconds(), "ratio")
}
