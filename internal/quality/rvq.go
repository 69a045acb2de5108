package quality

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/rvq"
	"golang.org/x/sync/errgroup"
)

// Latent is a codec whose quantizer can be looked into.
type Latent interface {
	// Latents gives the frames before the quantizer, [T, LatentDim].
	Latents(ctx context.Context, pcm []float32) ([]float32, error)
	LatentDim() int
	// Dequantize gives the frames that tokens stand for.
	Dequantize(tokens *codec.Tokens) ([]float32, error)
	// Codebook gives the entries of codebook i, [size, dim].
	Codebook(i int) (entries []float32, dim int)
}

// Disturbances are those that tokens are held against.
func Disturbances() []Disturbance {
	return []Disturbance{Shift(0.25), Shift(1), Shift(5), Noise(50), Noise(40), Noise(30)}
}

// CodebookReport says what a codebook does.
type CodebookReport struct {
	Codebook
	Bits float64 `json:"bits"` // log2 of the size
	// Error is what all codebooks up to this one leave of the energy of the frames,
	// a share; nil where the codec does not show its frames.
	Error *float64 `json:"error,omitempty"`
	// Stability is the share of frames that keep this code when the sound is
	// disturbed, by disturbance.
	Stability map[string]float64 `json:"stability"`
}

// QuantizerReport holds figures over the frames of all clips.
type QuantizerReport struct {
	Model        string           `json:"model"`
	Fingerprint  string           `json:"fingerprint"`
	Clips        int              `json:"clips"`
	Seconds      float64          `json:"seconds"`
	Frames       int              `json:"frames"`
	Disturbances []string         `json:"disturbances"`
	Codebooks    []CodebookReport `json:"codebooks"`

	Usage *rvq.Usage `json:"-"`
}

// EvaluateQuantizer looks at the tokens of files, parallel (at least 1) of them at
// once. maxSeconds above 0 cuts longer ones. done is told how many are through.
func EvaluateQuantizer(ctx context.Context, model codec.Codec, files []string, maxSeconds float64, parallel int, done func(files int64)) (*QuantizerReport, error) {
	info := model.Info()
	r := &QuantizerReport{Model: info.Name, Fingerprint: info.Fingerprint.String(), Clips: len(files), Usage: rvq.NewUsage(info.CodebookSizes)}
	disturbances := Disturbances()
	for _, d := range disturbances {
		r.Disturbances = append(r.Disturbances, d.Name)
	}
	books := info.Codebooks()
	same := make([][]int64, len(disturbances)) // [disturbance][codebook]
	for i := range same {
		same[i] = make([]int64, books)
	}
	left, whole := make([]float64, books), 0.0
	latent, open := model.(Latent)
	var mu sync.Mutex
	finished := int64(0)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(parallel, 1))
	for _, file := range files {
		g.Go(func() error {
			pcm, err := audio.ReadMono(file, info.SampleRate)
			if err != nil {
				return err
			}
			if maxSeconds > 0 {
				pcm = pcm[:min(len(pcm), int(maxSeconds*float64(info.SampleRate)))]
			}
			tokens, err := model.Encode(ctx, pcm, 0)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			kept := make([][]int64, len(disturbances))
			for i, d := range disturbances {
				other, err := model.Encode(ctx, d.Apply(pcm, info.SampleRate), 0)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", file, d.Name, err)
				}
				kept[i] = make([]int64, books)
				for k, c := range tokens.Codes {
					if other.Codes[k] == c {
						kept[i][k%books]++
					}
				}
			}
			var errors []float64
			var energy float64
			if open {
				if errors, energy, err = quantizationError(ctx, latent, info, pcm, tokens); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for i, k := range kept {
				for b, n := range k {
					same[i][b] += n
				}
			}
			for b, e := range errors {
				left[b] += e
			}
			whole += energy
			r.Usage.Add(tokens.Codes, books)
			r.Frames += tokens.Frames
			r.Seconds += float64(len(pcm)) / float64(info.SampleRate)
			finished++
			done(finished)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for b, size := range info.CodebookSizes {
		c := CodebookReport{
			Codebook:  Codebook{size, r.Usage.Used(b), r.Usage.Perplexity(b), r.Usage.Entropy(b)},
			Bits:      math.Log2(float64(size)),
			Stability: map[string]float64{},
		}
		if open && whole > 0 {
			share := left[b] / whole
			c.Error = &share
		}
		for i, d := range disturbances {
			c.Stability[d.Name] = float64(same[i][b]) / float64(max(r.Frames, 1))
		}
		r.Codebooks = append(r.Codebooks, c)
	}
	return r, nil
}

// quantizationError gives the squared distance of the frames to what the first
// codebooks stand for, for each number of codebooks that a bitrate has (those
// between two of them share the value of the next), and the energy of the frames.
func quantizationError(ctx context.Context, model Latent, info codec.Info, pcm []float32, tokens *codec.Tokens) ([]float64, float64, error) {
	z, err := model.Latents(ctx, pcm)
	if err != nil {
		return nil, 0, err
	}
	left := make([]float64, info.Codebooks())
	from := 0
	for _, books := range info.Levels {
		coded, err := model.Dequantize(first(tokens, books))
		if err != nil {
			return nil, 0, err
		}
		var sum float64
		for i, v := range coded {
			d := float64(z[i]) - float64(v)
			sum += d * d
		}
		for ; from < books; from++ {
			left[from] = sum
		}
	}
	var energy float64
	for _, v := range z {
		energy += float64(v) * float64(v)
	}
	return left, energy, nil
}
