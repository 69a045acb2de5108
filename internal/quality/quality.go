package quality

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/metrics"
	"github.com/sotto-audio/sotto/rvq"
	"golang.org/x/sync/errgroup"
)

// Unquantized is the step in which the decoder gets the encoder's output as it
// is.
const Unquantized = "unquantized"

// Figures are keyed by step: the bitrate in kbit/s, or Unquantized.
type Figures struct {
	ESTOI map[string]float64 `json:"estoi"`
	Mel   map[string]float64 `json:"mel"`
	SISDR map[string]float64 `json:"si_sdr"`
	// Loudness is by how many LU the decoded sound differs, without the sign.
	Loudness map[string]float64 `json:"loudness"`
}

// Clip holds the figures of one file.
type Clip struct {
	Path    string  `json:"path"`
	Seconds float64 `json:"seconds"`
	Figures
}

// Codebook says how a codebook is used.
type Codebook struct {
	Size       int     `json:"size"`
	Used       float64 `json:"used"` // share of entries that appeared
	Perplexity float64 `json:"perplexity"`
	Entropy    float64 `json:"entropy"` // bits a code
}

// Report holds means over clips.
type Report struct {
	Model       string   `json:"model"`
	Fingerprint string   `json:"fingerprint"`
	Clips       int      `json:"clips"`
	Seconds     float64  `json:"seconds"`
	Steps       []string `json:"steps"`
	Figures
	Codebooks []Codebook `json:"codebooks"`
	PerClip   []Clip     `json:"per_clip,omitempty"`
}

// reconstructor is a codec that can leave the quantizer out.
type reconstructor interface {
	Reconstruct(ctx context.Context, pcm []float32) ([]float32, error)
}

// Evaluate runs files through a codec, parallel (at least 1) of them at once.
// maxSeconds above 0 cuts longer ones. done is told how many files are through.
// A file that cannot be measured ends it with an error that names the file.
func Evaluate(ctx context.Context, model codec.Codec, files []string, maxSeconds float64, parallel int, done func(files int64)) (*Report, error) {
	info := model.Info()
	r := &Report{
		Model: info.Name, Fingerprint: info.Fingerprint.String(), Clips: len(files),
		Figures: newFigures(), PerClip: make([]Clip, len(files)),
	}
	for _, b := range info.Bitrates {
		r.Steps = append(r.Steps, fmt.Sprint(b/1000))
	}
	if _, ok := model.(reconstructor); ok {
		r.Steps = append(r.Steps, Unquantized)
	}
	usage := rvq.NewUsage(info.CodebookSizes)
	var mu sync.Mutex
	finished := int64(0)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(parallel, 1)) // none could ever start below 1
	for i, file := range files {
		g.Go(func() error {
			clip, tokens, err := evaluate(ctx, model, file, maxSeconds)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			r.PerClip[i] = clip
			usage.Add(tokens.Codes, tokens.Codebooks)
			finished++
			done(finished)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	n := float64(len(files))
	for _, c := range r.PerClip {
		r.Seconds += c.Seconds
		for _, s := range r.Steps {
			r.ESTOI[s] += c.ESTOI[s] / n
			r.Mel[s] += c.Mel[s] / n
			r.SISDR[s] += c.SISDR[s] / n
			r.Loudness[s] += c.Loudness[s] / n
		}
	}
	for i, size := range info.CodebookSizes {
		r.Codebooks = append(r.Codebooks, Codebook{size, usage.Used(i), usage.Perplexity(i), usage.Entropy(i)})
	}
	return r, nil
}

func newFigures() Figures {
	return Figures{map[string]float64{}, map[string]float64{}, map[string]float64{}, map[string]float64{}}
}

// evaluate measures one file and gives its tokens at the highest bitrate.
func evaluate(ctx context.Context, model codec.Codec, file string, maxSeconds float64) (Clip, *codec.Tokens, error) {
	info := model.Info()
	clip := Clip{Path: file, Figures: newFigures()}
	pcm, err := audio.ReadMono(file, info.SampleRate)
	if err != nil {
		return clip, nil, err
	}
	if maxSeconds > 0 {
		pcm = pcm[:min(len(pcm), int(maxSeconds*float64(info.SampleRate)))]
	}
	clip.Seconds = float64(len(pcm)) / float64(info.SampleRate)
	all, err := model.Encode(ctx, pcm, 0)
	if err != nil {
		return clip, nil, fmt.Errorf("%s: %w", file, err)
	}
	measure := func(step string, decoded []float32) error {
		decoded = decoded[:len(pcm)]
		var errs [5]error
		clip.ESTOI[step], errs[0] = metrics.ESTOI(pcm, decoded, info.SampleRate)
		clip.Mel[step], errs[1] = metrics.MelDistance(pcm, decoded, info.SampleRate)
		clip.SISDR[step], errs[2] = metrics.SISDR(pcm, decoded)
		// Equal or orthogonal signals: a figure that JSON can hold.
		clip.SISDR[step] = min(max(clip.SISDR[step], -200), 200)
		var before, after float64
		before, errs[3] = metrics.Loudness(pcm, info.SampleRate)
		after, errs[4] = metrics.Loudness(decoded, info.SampleRate)
		clip.Loudness[step] = min(math.Abs(after-before), 200)
		return errors.Join(errs[:]...)
	}
	for i, books := range info.Levels {
		decoded, err := model.Decode(ctx, first(all, books))
		if err == nil {
			err = measure(fmt.Sprint(info.Bitrates[i]/1000), decoded)
		}
		if err != nil {
			return clip, nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if r, ok := model.(reconstructor); ok {
		decoded, err := r.Reconstruct(ctx, pcm)
		if err == nil {
			err = measure(Unquantized, decoded)
		}
		if err != nil {
			return clip, nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return clip, all, nil
}

// first keeps the first codebooks of every frame.
func first(t *codec.Tokens, books int) *codec.Tokens {
	out := &codec.Tokens{Codes: make([]int32, 0, t.Frames*books), Frames: t.Frames, Codebooks: books}
	for i := range t.Frames {
		out.Codes = append(out.Codes, t.Frame(i)[:books]...)
	}
	return out
}
