package train

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"sync"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/manifest"
)

// Row is a line of a manifest: tab-separated values under the header path,
// seconds, split, speaker, lang, text, in any order and with further columns.
type Row struct {
	Path    string // joined with the manifest's folder
	Seconds float64
	Split   string
	Speaker string
}

// ReadManifest lists the rows of a manifest file.
func ReadManifest(path string) ([]Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("train: manifest: %w", err)
	}
	defer f.Close()
	rows, err := parseManifest(f)
	if err != nil {
		return nil, fmt.Errorf("train: manifest %s: %w", path, err)
	}
	for i := range rows {
		rows[i].Path = filepath.Join(filepath.Dir(path), filepath.FromSlash(rows[i].Path))
	}
	return rows, nil
}

func parseManifest(r io.Reader) ([]Row, error) {
	lines, err := manifest.Read(r, "path", "seconds", "split", "speaker")
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, l := range lines {
		f := l.Fields
		seconds, err := strconv.ParseFloat(f[1], 64)
		if err != nil || seconds < 0 || math.IsInf(seconds, 0) || math.IsNaN(seconds) {
			return nil, fmt.Errorf("line %d: %q is no number of seconds", l.Line, f[1])
		}
		if f[0] == "" {
			return nil, fmt.Errorf("line %d: the path is empty", l.Line)
		}
		rows = append(rows, Row{Path: f[0], Seconds: seconds, Split: f[2], Speaker: f[3]})
	}
	return rows, nil
}

// Unseen reports speakers that are in both training and validation rows.
func Unseen(train, valid []Row) error {
	seen := map[string]bool{}
	for _, r := range train {
		seen[r.Speaker] = true
	}
	for _, r := range valid {
		if seen[r.Speaker] {
			return fmt.Errorf("train: speaker %q is in both the training and the validation rows (%s): validation would not tell anything", r.Speaker, r.Path)
		}
	}
	return nil
}

// Clip is one recording in memory: 16-bit mono at the corpus's rate.
type Clip struct {
	Samples []int16
	Gain    float32 // from samples to the corpus's level
	Speaker string
}

// Corpus is a set of recordings in memory at one rate.
type Corpus struct {
	Rate  int
	Clips []Clip

	cumulative []float64 // of the clips' probabilities
}

// level is the root mean square that clips are brought to before a crop gets a
// gain of its own.
const level = 0.06

// LoadCorpus decodes rows on two threads. Channels are averaged and other rates
// resampled. Balance weights the speakers: a clip is drawn with a probability
// proportional to its length over its speaker's total length to that power.
func LoadCorpus(rows []Row, rate int, balance float64) (*Corpus, error) {
	c := &Corpus{Rate: rate, Clips: make([]Clip, len(rows))}
	errs := make([]error, len(rows))
	next := make(chan int)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for i := range next {
				c.Clips[i], errs[i] = loadClip(rows[i], rate)
			}
		})
	}
	for i := range rows {
		next <- i
	}
	close(next)
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	c.Clips = slices.DeleteFunc(c.Clips, func(c Clip) bool { return len(c.Samples) == 0 })
	if len(c.Clips) == 0 {
		return nil, errors.New("train: no audio: the manifests hold no rows of this split")
	}
	total := map[string]float64{}
	for _, clip := range c.Clips {
		total[clip.Speaker] += float64(len(clip.Samples))
	}
	var sum float64
	for _, clip := range c.Clips {
		sum += float64(len(clip.Samples)) * math.Pow(total[clip.Speaker], -balance)
		c.cumulative = append(c.cumulative, sum)
	}
	return c, nil
}

// Seconds is the length of all clips.
func (c *Corpus) Seconds() float64 {
	n := 0
	for _, clip := range c.Clips {
		n += len(clip.Samples)
	}
	return float64(n) / float64(c.Rate)
}

func loadClip(r Row, rate int) (Clip, error) {
	mono, err := audio.ReadMono(r.Path, rate)
	if err != nil {
		return Clip{}, err
	}
	clip := Clip{Samples: make([]int16, len(mono)), Speaker: r.Speaker}
	var sum float64
	for i, v := range mono {
		clip.Samples[i] = int16(max(-32768, min(32767, math.Round(float64(v)*32768))))
		sum += float64(v) * float64(v)
	}
	rms := math.Sqrt(sum/float64(max(1, len(mono))) + 1e-9)
	clip.Gain = float32(level / rms / 32768)
	return clip, nil
}

// Augment holds the probabilities of changes to a crop.
type Augment struct {
	Level     float64 `json:"level"`              // 26 dB below to 6 dB above the usual level, which varies by 9 dB
	Mixture   float64 `json:"mixture"`            // a second speaker, 0 to 12 dB below
	Noise     float64 `json:"noise"`              // coloured noise, 5 to 35 dB below
	BandLimit float64 `json:"band_limit"`         // low-pass from 2 to 7 kHz, half of them telephone
	Room      float64 `json:"room,omitempty"`     // echoes of a synthetic room
	Clipping  float64 `json:"clipping,omitempty"` // too loud for the microphone
}

// crop fills dst with a random piece of a random clip, zeros where it ends.
func (c *Corpus) crop(dst []float32, rng *rand.Rand) {
	x := rng.Float64() * c.cumulative[len(c.cumulative)-1]
	clip := c.Clips[min(sort.SearchFloat64s(c.cumulative, x), len(c.Clips)-1)]
	at := 0
	if spare := len(clip.Samples) - len(dst); spare > 0 {
		at = rng.IntN(spare + 1)
	}
	gain := clip.Gain * float32(math.Pow(10, -0.3+0.45*rng.Float64()))
	piece := clip.Samples[at:min(len(clip.Samples), at+len(dst))]
	for i, v := range piece {
		dst[i] = gain * float32(v)
	}
	clear(dst[len(piece):])
}

// Draw fills dst with an augmented crop. Equal generators give equal crops.
func (c *Corpus) Draw(dst []float32, a Augment, rng *rand.Rand) {
	c.crop(dst, rng)
	if a.Level > 0 && rng.Float64() < a.Level {
		gain := float32(math.Pow(10, (-26+32*rng.Float64())/20))
		for i := range dst {
			dst[i] *= gain
		}
	}
	if rng.Float64() < a.Mixture {
		other := make([]float32, len(dst))
		c.crop(other, rng)
		gain := float32(math.Pow(10, -12*rng.Float64()/20))
		for i, v := range other {
			dst[i] += gain * v
		}
	}
	if a.Room > 0 && rng.Float64() < a.Room {
		addRoom(dst, c.Rate, rng)
	}
	if rng.Float64() < a.Noise {
		addNoise(dst, rng)
	}
	if rng.Float64() < a.BandLimit {
		bandLimit(dst, c.Rate, rng)
	}
	if a.Clipping > 0 && rng.Float64() < a.Clipping {
		clip(dst, rng)
	}
}

// addNoise adds noise with a random spectral tilt.
func addNoise(dst []float32, rng *rand.Rand) {
	var signal, power float64
	for _, v := range dst {
		signal += float64(v) * float64(v)
	}
	noise := make([]float32, len(dst))
	pole := 0.95 * rng.Float64()
	var state float64
	for i := range noise {
		state = pole*state + rng.NormFloat64()
		noise[i] = float32(state)
		power += state * state
	}
	gain := float32(math.Sqrt(signal/max(power, 1e-9)) * math.Pow(10, -(5+30*rng.Float64())/20))
	for i, v := range noise {
		dst[i] += gain * v
	}
}

// bandLimit applies a random low-pass of fourth order and, half of the time, the
// high-pass of a telephone.
func bandLimit(x []float32, rate int, rng *rand.Rand) {
	phone := rng.Float64() < 0.5
	cut := 2000 + 5000*rng.Float64()
	if phone {
		cut = 3400
		biquad(x, rate, 300, true)
	}
	biquad(x, rate, cut, false)
	biquad(x, rate, cut, false)
}

// biquad is a Butterworth filter of second order by the bilinear transform.
func biquad(x []float32, rate int, cut float64, high bool) {
	k := math.Tan(math.Pi * cut / float64(rate))
	norm := 1 / (1 + math.Sqrt2*k + k*k)
	b0, b1 := k*k*norm, 2*k*k*norm
	if high {
		b0, b1 = norm, -2*norm
	}
	a1, a2 := 2*(k*k-1)*norm, (1-math.Sqrt2*k+k*k)*norm
	var s1, s2 float64
	for i, v := range x {
		in := float64(v)
		out := b0*in + s1
		s1 = b1*in - a1*out + s2
		s2 = b0*in - a2*out
		x[i] = float32(out)
	}
}
