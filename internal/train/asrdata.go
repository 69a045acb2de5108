package train

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
	"github.com/sotto-audio/sotto/internal/weights"
)

// Transcripts are utterances in memory, by source.
type Transcripts struct {
	Train map[string][]*Utterance
	Valid map[string][]*Utterance

	codec *sotto.Model
	files map[string]bool
}

// LoadTranscripts reads all features in a folder. Utterances of held speakers are
// for validation; so are those of the split valid.
func LoadTranscripts(dir string, codec *sotto.Model, held []string) (*Transcripts, error) {
	t := &Transcripts{Train: map[string][]*Utterance{}, Valid: map[string][]*Utterance{}, codec: codec, files: map[string]bool{}}
	if err := t.More(dir, held); err != nil {
		return nil, err
	}
	if len(t.Train) == 0 {
		return nil, fmt.Errorf("%w: %s", errNoFeatures, dir)
	}
	return t, nil
}

// More reads the files that have come since.
func (t *Transcripts) More(dir string, held []string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.features"))
	if err != nil {
		return fmt.Errorf("train: features: %w", err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		if t.files[path] {
			continue
		}
		t.files[path] = true
		all, err := ReadFeatures(path, t.codec.Info().Fingerprint.String())
		if err != nil {
			return err
		}
		for _, u := range all {
			dev := u.Split == "valid" || slices.Contains(held, u.Speaker)
			switch {
			case dev && u.Version == 0:
				t.Valid[u.Source] = append(t.Valid[u.Source], &u)
			case !dev && u.Split == "train" && spellable(u.Labels, u.Frames):
				t.Train[u.Source] = append(t.Train[u.Source], &u)
			}
		}
	}
	return nil
}

// spellable says whether a path of that many rows can spell the labels, with some
// room.
func spellable(labels []int32, rows int) bool {
	need := len(labels)
	for i := 1; i < len(labels); i++ {
		if labels[i] == labels[i-1] {
			need++
		}
	}
	return need < rows
}

// Hours is the length of all utterances of a source.
func hours(all []*Utterance) (h float64) {
	for _, u := range all {
		h += u.Seconds / 3600
	}
	return h
}

// item is one entry of a batch: utterances that follow each other.
type item []*Utterance

func (m item) frames() (n int) {
	for _, u := range m {
		n += u.Frames
	}
	return n
}

func (m item) labels() []int32 {
	var all []int32
	for _, u := range m {
		if len(all) > 0 && len(u.Labels) > 0 {
			all = append(all, 1)
		}
		all = append(all, u.Labels...)
	}
	return all
}

// sampler draws utterances.
type sampler struct {
	sources    []string
	cumulative []float64
	data       *Transcripts
}

// newSampler gives each source its share of seconds; sources that shares does not
// name get none.
func newSampler(t *Transcripts, shares map[string]float64) (*sampler, error) {
	s := &sampler{data: t}
	var sum float64
	for name := range t.Train {
		if shares[name] > 0 {
			s.sources = append(s.sources, name)
		}
	}
	slices.Sort(s.sources)
	for _, name := range s.sources {
		all := t.Train[name]
		sum += shares[name] / (hours(all) / float64(len(all)))
		s.cumulative = append(s.cumulative, sum)
	}
	if sum == 0 {
		return nil, fmt.Errorf("train: no features of the sources that the recipe's shares name")
	}
	return s, nil
}

func (s *sampler) draw(rng *rand.Rand) *Utterance {
	x := rng.Float64() * s.cumulative[len(s.cumulative)-1]
	i, _ := slices.BinarySearch(s.cumulative, x)
	all := s.data.Train[s.sources[min(i, len(s.sources)-1)]]
	return all[rng.IntN(len(all))]
}

// plan draws batches of items of similar length, of at most so many frames with
// what fills them up, and gives the share of that.
func (s *sampler) plan(c ASRConfig, splicer *splicer, batches int, rng *rand.Rand) (all [][]item, padding float64, err error) {
	rate := c.Model.FrameRate
	budget, longest := int(c.Seconds*rate), int(c.Longest*rate)
	var items []item
	for total := 0; total < batches*budget; {
		m := item{s.draw(rng)}
		if rng.Float64() < c.Splice[m[0].Source] {
			if m, err = splicer.make(m[0], rng); err != nil {
				return nil, 0, err
			}
		}
		for rng.Float64() < c.Join {
			if next := s.draw(rng); m.frames()+next.Frames <= longest {
				m = append(m, next)
			}
		}
		if m.frames() > longest {
			continue
		}
		items = append(items, m)
		total += m.frames()
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.frames(), b.frames()) })
	var filled, used int
	for len(items) > 0 {
		n := 1
		for n < len(items) && (n+1)*items[n].frames() <= budget {
			n++
		}
		for _, m := range items[:n] {
			used += m.frames()
		}
		filled += n * items[n-1].frames()
		all = append(all, items[:n])
		items = items[n:]
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, 1 - float64(used)/float64(filled), nil
}

// rowsOf is the number of latents that the network gets for an utterance: those, the
// zeros of its delay, and up to a whole step.
func rowsOf(frames, delay int) int {
	n := frames + delay
	return (n + recognizer.Unit - 1) / recognizer.Unit * recognizer.Unit
}

// fill writes the latents of items to a stream's input, [len(items)·rows, dim], and
// sets the stream up. With rng they are altered; levels 0 are unquantized.
func (t *Transcripts) fill(s *nn.Stream, items []item, delay, dim int, level func() int) (x []float32, rows int, err error) {
	for _, m := range items {
		rows = max(rows, rowsOf(m.frames(), delay))
	}
	s.Lengths = s.Lengths[:0]
	s.Wait()
	x = s.Tensor(len(items)*rows, dim).Data
	clear(x)
	decoder := t.codec.NewLatentStream()
	all := t.codec.Info().Codebooks()
	perLevel := all / len(t.codec.Info().Levels)
	var codes []int32
	for i, m := range items {
		at := i * rows * dim
		for _, u := range m {
			into := x[at : at+u.Frames*dim]
			at += u.Frames * dim
			levels := level()
			if levels == 0 {
				for k, h := range u.Latents {
					into[k] = weights.FromFloat16(h)
				}
				continue
			}
			books := levels * perLevel
			codes = codes[:0]
			for f := range u.Frames {
				for _, c := range u.Codes[f*all : f*all+books] {
					codes = append(codes, int32(c))
				}
			}
			if _, err := decoder.Decode(into[:0], codes, books); err != nil {
				return nil, 0, fmt.Errorf("train: codes of %s: %w", u.Path, err)
			}
		}
		s.Lengths = append(s.Lengths, rowsOf(m.frames(), delay))
	}
	return x, rows, nil
}

// Alteration changes latents as TERA does spectra (Liu et al. 2021): in time,
// channels and magnitude; time and channels as SpecAugment masks (Park et al. 2019).
type Alteration struct {
	TimeMasks    float64 `json:"time_masks"`    // in ten seconds
	TimeFrames   int     `json:"time_frames"`   // most frames of a mask
	ChannelMasks int     `json:"channel_masks"` // most in an utterance
	Channels     int     `json:"channels"`      // most of a mask
	Noise        float64 `json:"noise"`         // most deviation of added noise
}

// alter changes latents [frames, dim].
func (a Alteration) alter(x []float32, dim int, rng *rand.Rand) {
	frames := len(x) / dim
	for n := a.TimeMasks * float64(frames) / 500 * 2 * rng.Float64(); rng.Float64() < n; n-- {
		length := min(rng.IntN(a.TimeFrames+1), frames/4)
		from := rng.IntN(frames - length + 1)
		clear(x[from*dim : (from+length)*dim])
	}
	if a.ChannelMasks > 0 {
		for range rng.IntN(a.ChannelMasks + 1) {
			for range rng.IntN(a.Channels + 1) {
				c := rng.IntN(dim) // neighbours have nothing in common
				for f := range frames {
					x[f*dim+c] = 0
				}
			}
		}
	}
	if a.Noise > 0 && rng.Float64() < 0.5 {
		s := a.Noise * rng.Float64()
		for i := 0; i+1 < len(x); i += 2 {
			// Box and Muller's pairs.
			r, p := s*math.Sqrt(-2*math.Log(1-rng.Float64())), 2*math.Pi*rng.Float64()
			x[i] += float32(r * math.Cos(p))
			x[i+1] += float32(r * math.Sin(p))
		}
	}
}
