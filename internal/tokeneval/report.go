// Package tokeneval says what a language model finds in the tokens of a codec: how
// predictable they are, what codebooks know of each other, how they hold under
// changes of the sound that should not matter, what they tell about speaker and
// words, and what they cost as bits.
package tokeneval

import (
	"context"
	"math"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/quality"
	"github.com/sotto-audio/sotto/rvq"
	"github.com/sotto-audio/sotto/tokenizer"
)

// Report holds the figures; all of them are of the recordings that are tested, by
// what was learned from the others.
type Report struct {
	Model       string  `json:"model"`
	Fingerprint string  `json:"fingerprint"`
	Clips       int     `json:"clips"`
	Seconds     float64 `json:"seconds"`
	Learned     float64 `json:"learned_seconds"` // of the recordings that tables and n-grams are from

	Codebooks []Codebook              `json:"codebooks"`
	Layouts   map[string][]Perplexity `json:"layouts"` // all codebooks in the order of a layout, by order of the n-grams
	// Within is [i][j], i before j: codebooks of one frame. Before is [q]: a
	// codebook and itself one frame before.
	Within     [][]Information `json:"within"`
	Before     []Information   `json:"before"`
	Stability  []Stability     `json:"stability"`
	Leakage    Leakage         `json:"leakage"`
	Rates      []Rate          `json:"rates,omitempty"`   // without an entropy coder for the model, none
	Entropy    string          `json:"entropy,omitempty"` // ID of the entropy coder
	PacketSize int             `json:"packet_frames,omitempty"`
}

// Codebook says how the codes of one codebook come.
type Codebook struct {
	Size       int          `json:"size"`
	Used       float64      `json:"used"`    // share of the entries
	Entropy    float64      `json:"entropy"` // bits, of the counts alone
	Perplexity float64      `json:"perplexity"`
	Repeats    float64      `json:"repeats"` // share of frames with the code of the frame before
	Ngrams     []Perplexity `json:"ngrams"`  // of this codebook by its own past
}

// Sound is a recording: mono, at the model's rate.
type Sound struct {
	PCM           []float32
	Speaker, Text string
}

// Options say what to measure; the zero value measures everything.
type Options struct {
	PacketFrames int // of the bits; 0 is a second
}

// Stage is told what is under way, and how far: n of total.
type Stage func(name string, n, total int)

// Evaluate measures recordings; learned are other ones, of other speakers, from
// which tables, n-grams and probes learn.
func Evaluate(ctx context.Context, model codec.Codec, learned []Recording, tested []Sound, o Options, stage Stage) (*Report, error) {
	info := model.Info()
	books := info.Codebooks()
	r := &Report{Model: info.Name, Fingerprint: info.Fingerprint.String(), Clips: len(tested), Layouts: map[string][]Perplexity{}}
	var codes [][]int32
	var sounds [][]float32
	for i, s := range tested {
		stage("tokens", i, len(tested))
		t, err := model.Encode(ctx, s.PCM, 0)
		if err != nil {
			return nil, err
		}
		codes, sounds = append(codes, t.Codes), append(sounds, s.PCM)
		r.Seconds += float64(len(s.PCM)) / float64(info.SampleRate)
	}
	var known [][]int32
	for _, l := range learned {
		known = append(known, l.Codes)
		r.Learned += float64(len(l.Codes)/books) / info.FrameRate
	}
	if err := r.codebooks(ctx, info, codes, known, stage); err != nil {
		return nil, err
	}
	if err := r.layouts(ctx, info, codes, known, stage); err != nil {
		return nil, err
	}
	r.information(info, codes, known, stage)
	var err error
	if r.Stability, err = MeasureStability(ctx, model, sounds, disturbances(), func(n int) { stage("stability", n, len(sounds)) }); err != nil {
		return nil, err
	}
	stage("leakage", 0, 1)
	r.Leakage = leak(learned, info.CodebookSizes)
	if e, err := codec.EntropyOf(info); err == nil {
		stage("bits", 0, 1)
		if r.PacketSize = o.PacketFrames; r.PacketSize == 0 {
			r.PacketSize = max(1, int(math.Round(info.FrameRate)))
		}
		if r.Rates, err = Rates(e, info, codes, r.PacketSize); err != nil {
			return nil, err
		}
		r.Entropy = e.ID().String()
	}
	return r, ctx.Err()
}

// disturbances are those that tokens are held against.
func disturbances() []quality.Disturbance {
	return []quality.Disturbance{
		quality.Shift(1), quality.Shift(5), quality.Shift(10),
		quality.Noise(40), quality.Noise(30), quality.Noise(20), quality.Gain(-3),
	}
}

// column gives codebook q of clips.
func column(clips [][]int32, q, books int) [][]int32 {
	out := make([][]int32, len(clips))
	for i, clip := range clips {
		for k := q; k < len(clip); k += books {
			out[i] = append(out[i], clip[k])
		}
	}
	return out
}

func (r *Report) codebooks(ctx context.Context, info codec.Info, codes, known [][]int32, stage Stage) error {
	books := info.Codebooks()
	usage := rvq.NewUsage(info.CodebookSizes)
	for _, c := range codes {
		usage.Add(c, books)
	}
	for q, size := range info.CodebookSizes {
		stage("codebooks", q, books)
		if err := ctx.Err(); err != nil {
			return err
		}
		b := Codebook{Size: size, Used: usage.Used(q), Entropy: usage.Entropy(q), Perplexity: usage.Perplexity(q)}
		own := column(codes, q, books)
		same, n := 0, 0
		for _, c := range own {
			for i := 1; i < len(c); i++ {
				n++
				if c[i] == c[i-1] {
					same++
				}
			}
		}
		b.Repeats = float64(same) / float64(max(n, 1))
		b.Ngrams = perplexities(size, column(known, q, books), own)
		r.Codebooks = append(r.Codebooks, b)
	}
	return nil
}

// layouts measures n-grams over the single streams that layouts give; the
// parallel one has a stream a codebook, which codebooks measures.
func (r *Report) layouts(ctx context.Context, info codec.Info, codes, known [][]int32, stage Stage) error {
	all := []tokenizer.Layout{tokenizer.Flat, tokenizer.Delay, tokenizer.Coarse}
	for i, layout := range all {
		stage("layouts", i, len(all))
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := tokenizer.NewVocabulary(info, 0, tokenizer.VocabularyOptions{Layout: layout})
		if err != nil {
			return err
		}
		streams := func(clips [][]int32) (out [][]int32, err error) {
			for _, c := range clips {
				t := &codec.Tokens{Codes: c, Codebooks: info.Codebooks(), Frames: len(c) / info.Codebooks()}
				s, err := v.Arrange(t)
				if err != nil {
					return nil, err
				}
				out = append(out, single(s, info.CodebookSizes))
			}
			return out, nil
		}
		learn, err := streams(known)
		if err != nil {
			return err
		}
		test, err := streams(codes)
		if err != nil {
			return err
		}
		total := 0
		for _, size := range info.CodebookSizes {
			total += size
		}
		r.Layouts[string(layout)] = perplexities(total, learn, test)
	}
	var parallel []Perplexity
	for o := range maxOrder {
		p := Perplexity{Order: o + 1}
		for _, b := range r.Codebooks {
			p.Bits += b.Ngrams[o].Bits / float64(len(r.Codebooks))
		}
		p.Value = math.Exp2(p.Bits)
		parallel = append(parallel, p)
	}
	r.Layouts[string(tokenizer.Parallel)] = parallel
	return nil
}

// single makes one stream of a sequence: rows of several columns follow each
// other, without what is no code, each column with its own ids.
func single(s tokenizer.Sequence, sizes []int) []int32 {
	if s.Width == 1 {
		return s.IDs
	}
	var out []int32
	for i := range s.Steps() {
		offset := int32(0)
		for q, id := range s.Row(i) {
			if int(id) < sizes[q] {
				out = append(out, offset+id)
			}
			offset += int32(sizes[q])
		}
	}
	return out
}

func (r *Report) information(info codec.Info, codes, known [][]int32, stage Stage) {
	books := info.Codebooks()
	together := func(clips [][]int32, i, j, lag int) (p pairs) {
		for _, c := range clips {
			for f := lag; f < len(c)/books; f++ {
				p.add(c[(f-lag)*books+i], c[f*books+j])
			}
		}
		return p
	}
	for i := range books {
		stage("information", i, books)
		row := make([]Information, books)
		for j := i + 1; j < books; j++ {
			row[j] = information(together(codes, i, j, 0), together(known, i, j, 0), info.CodebookSizes[j])
		}
		r.Within = append(r.Within, row)
		r.Before = append(r.Before, information(together(codes, i, i, 1), together(known, i, i, 1), info.CodebookSizes[i]))
	}
}
