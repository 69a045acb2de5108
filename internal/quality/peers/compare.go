package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/metrics"
	"golang.org/x/sync/errgroup"
)

// Row holds the means of a system over the clips.
type Row struct {
	Codec   string   `json:"codec"`
	Setting string   `json:"setting"`
	Kbps    float64  `json:"kbps"` // measured, without containers
	ESTOI   float64  `json:"estoi"`
	Mel     float64  `json:"mel"`
	Mel8    float64  `json:"mel_8k"`         // both sounds brought to 8 kHz
	SISDR   float64  `json:"si_sdr"`         // dB
	PESQ    *float64 `json:"pesq,omitempty"` // wide-band
	Used    *float64 `json:"used,omitempty"` // least share of a codebook's entries
}

// Options of Compare.
type Options struct {
	MaxSeconds float64 // of each clip; 0 is all
	Parallel   int     // clips at once, at least 1
	Python     string  // an interpreter with the package pesq; "" leaves PESQ out
	Done       func(files int64)
}

// Compare runs files through systems. What a decoder gives is moved by up to
// 100 ms to where it fits, for every system alike. It leaves no files behind.
func Compare(ctx context.Context, systems []System, files []string, o Options) ([]Row, error) {
	dir, err := os.MkdirTemp("", "sotto-peers-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// A program that was interrupted may not live to see this function end.
	defer context.AfterFunc(ctx, func() { os.RemoveAll(dir) })()
	g, ctx := errgroup.WithContext(ctx)
	workers := make(chan *worker, max(o.Parallel, 1))
	for i := range cap(workers) {
		w := &worker{dir: filepath.Join(dir, fmt.Sprint(i))}
		if err := os.Mkdir(w.dir, 0o777); err != nil {
			return nil, err
		}
		if o.Python != "" {
			if w.pesq, err = startPESQ(ctx, o.Python); err != nil {
				return nil, err
			}
			defer w.pesq.close()
		}
		workers <- w
	}
	rows := make([]Row, len(systems))
	var seconds float64
	var mu sync.Mutex
	finished := int64(0)
	g.SetLimit(cap(workers))
	for _, file := range files {
		g.Go(func() error {
			w := <-workers
			defer func() { workers <- w }()
			pcm, err := audio.ReadMono(file, Rate)
			if err != nil {
				return err
			}
			if o.MaxSeconds > 0 {
				pcm = pcm[:min(len(pcm), int(o.MaxSeconds*Rate))]
			}
			clip := make([]Row, len(systems))
			for i, s := range systems {
				if err := w.measure(ctx, &clip[i], s, pcm); err != nil {
					return fmt.Errorf("%s: %s: %w", file, s.Name(), err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range rows {
				rows[i].add(clip[i])
			}
			seconds += float64(len(pcm)) / Rate
			finished++
			o.Done(finished)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, s := range systems {
		rows[i].Codec, rows[i].Setting = s.Codec, s.Setting
		rows[i].mean(float64(len(files)), seconds)
		if s.used != nil {
			used := s.used()
			rows[i].Used = &used
		}
	}
	return rows, nil
}

// worker has a folder and an interpreter of its own.
type worker struct {
	dir  string
	pesq *pesq
}

// measure sets the figures of one clip; Kbps to its kilobits.
func (w *worker) measure(ctx context.Context, r *Row, s System, pcm []float32) error {
	decoded, bits, err := s.run(ctx, w.dir, pcm)
	if err != nil {
		return err
	}
	decoded = align(pcm, decoded)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var errs [5]error
	r.Kbps = float64(bits) / 1000
	r.ESTOI, errs[0] = metrics.ESTOI(pcm, decoded, Rate)
	r.Mel, errs[1] = metrics.MelDistance(pcm, decoded, Rate)
	r.SISDR, errs[2] = metrics.SISDR(pcm, decoded)
	r.SISDR = min(max(r.SISDR, -200), 200)
	r.Mel8, errs[4] = metrics.MelDistance(resampled(pcm, Rate, Rate/2), resampled(decoded, Rate, Rate/2), Rate/2)
	if w.pesq != nil {
		var score float64
		score, errs[3] = w.pesq.score(w.dir, pcm, decoded)
		r.PESQ = &score
	}
	return errors.Join(errs[:]...)
}

func (r *Row) add(c Row) {
	r.Kbps += c.Kbps
	r.ESTOI += c.ESTOI
	r.Mel += c.Mel
	r.Mel8 += c.Mel8
	r.SISDR += c.SISDR
	if c.PESQ != nil {
		if r.PESQ == nil {
			r.PESQ = new(float64)
		}
		*r.PESQ += *c.PESQ
	}
}

func (r *Row) mean(clips, seconds float64) {
	r.Kbps /= seconds
	r.ESTOI /= clips
	r.Mel /= clips
	r.Mel8 /= clips
	r.SISDR /= clips
	if r.PESQ != nil {
		*r.PESQ /= clips
	}
}
