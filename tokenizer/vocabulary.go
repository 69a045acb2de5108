package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/sotto-audio/sotto/codec"
)

// Special tokens, in the order of their ids.
const (
	Pad   = "pad" // fills the corners of Delay, and batches in training
	Begin = "bos"
	End   = "eos"
)

var specials = []string{Pad, Begin, End}

// Vocabulary says what ids mean: it is all that training code and Restore need
// to know of a data set, and is stored with it as vocabulary.json.
//
// In a layout of one stream (flat, coarse, units) a code is Offsets[c]+code and
// the special tokens follow the codes. In the others each column has its own
// ids: a code is itself, and the special tokens of column c are Sizes[c],
// Sizes[c]+1 and so on.
type Vocabulary struct {
	Model       string         `json:"model"`                // name of the weights that made the codes
	Fingerprint string         `json:"fingerprint"`          // of those weights
	SampleRate  int            `json:"sample_rate"`          // Hz, of the model
	HopLength   int            `json:"hop_length"`           // samples of a frame
	Layout      Layout         `json:"layout"`               // order of the ids
	Sizes       []int          `json:"codebook_sizes"`       // of each code of a frame, Q of them
	Levels      []int          `json:"levels"`               // residual level of each code of a frame
	Base        int32          `json:"base"`                 // the first id, as where a text vocabulary ends
	Order       []int          `json:"order"`                // the codes of a frame as they follow each other in Flat and Coarse
	Offsets     []int32        `json:"offsets"`              // id of code 0 of each code of a frame
	Special     map[string]int `json:"special"`              // id of each special token; where columns have their own ids, of column 0
	Ends        bool           `json:"ends"`                 // sequences begin with bos and end with eos
	Prefix      string         `json:"prefix"`               // "a" in <|a_123|>
	Size        int            `json:"size"`                 // ids from Base on, special ones included; of the widest column
	Steps       float64        `json:"steps_per_second"`     // rows of a sequence for a second of sound; 0 where it varies
	Version     int            `json:"version"`              // of this form: 1
	Text        string         `json:"text_token,omitempty"` // printf form of a token as text, of the id less Base
}

// VocabularyOptions are what NewVocabulary leaves open; the zero value is
// ready to use.
type VocabularyOptions struct {
	Layout Layout // "" is Flat
	Base   int    // first id of a layout of one stream
	Ends   bool   // sequences begin with bos and end with eos
	Prefix string // of text tokens; "" is "a"
	// Groups is the number of codebooks that make one residual level, which stay
	// together in Delay and Coarse: 2 for HiFi-Codec. 0 takes the bitrate steps of
	// the model.
	Groups int
	// Rates says that the model's codebooks have different rates; nil takes that
	// from the bitrate steps of the model.
	Rates Rates
	// Share gives codes of the same codebook the same ids, where rates differ.
	// Without it each place in the frame has its own, as language models on SNAC
	// have it.
	Share bool
}

// NewVocabulary makes the vocabulary of the first codebooks of a model (0: all
// of them).
func NewVocabulary(model codec.Info, codebooks int, o VocabularyOptions) (*Vocabulary, error) {
	if codebooks == 0 {
		codebooks = model.Codebooks()
	}
	if codebooks < 1 || codebooks > model.Codebooks() {
		return nil, fmt.Errorf("tokenizer: %d codebooks: %s has %d", codebooks, model.Name, model.Codebooks())
	}
	v := &Vocabulary{
		Version: 1, Model: model.Name, Fingerprint: model.Fingerprint.String(),
		SampleRate: model.SampleRate, HopLength: model.HopLength,
		Layout: o.Layout, Sizes: slices.Clone(model.CodebookSizes[:codebooks]),
		Base: int32(min(o.Base, math.MaxInt32)), Ends: o.Ends, Prefix: o.Prefix,
		Levels: make([]int, codebooks),
	}
	if v.Layout == "" {
		v.Layout = Flat
	}
	if v.Prefix == "" {
		v.Prefix = "a"
	}
	rates := o.Rates
	if rates == nil && o.Groups == 0 {
		rates = ratesOf(model, codebooks)
	}
	columns := rates.Codebooks()
	if rates != nil && len(columns) != codebooks {
		return nil, fmt.Errorf("tokenizer: rates %v make frames of %d codes, not of %d", rates, len(columns), codebooks)
	}
	for c := range v.Levels {
		v.Order = append(v.Order, c)
		switch {
		case rates != nil:
			v.Levels[c] = columns[c]
		case o.Groups > 0:
			v.Levels[c] = c / o.Groups
		default:
			for _, step := range model.Levels {
				if step <= c {
					v.Levels[c]++
				}
			}
		}
	}
	if rates != nil {
		v.Order = rates.Order()
	}
	next := int64(v.Base)
	v.Offsets = make([]int32, codebooks)
	for i, c := range v.Order {
		same := -1
		if o.Share && rates != nil {
			same = slices.IndexFunc(v.Order[:i], func(d int) bool { return columns[d] == columns[c] })
		}
		switch {
		case !v.Layout.single():
		case same >= 0:
			v.Offsets[c] = v.Offsets[v.Order[same]]
		case next+int64(v.Sizes[c])+int64(len(specials)) > math.MaxInt32:
			return nil, errors.New("tokenizer: the ids do not fit 32 bits: give a smaller base")
		default:
			v.Offsets[c] = int32(next)
			next += int64(v.Sizes[c])
		}
	}
	v.derive()
	return v, v.validate()
}

// derive fills what follows from the rest.
func (v *Vocabulary) derive() {
	v.Special = map[string]int{}
	top, widest := 0, 0
	for c, size := range v.Sizes {
		top = max(top, int(v.Offsets[c])+size)
		widest = max(widest, size)
	}
	for i, name := range specials {
		v.Special[name] = top + i
		if !v.Layout.single() {
			v.Special[name] = v.Sizes[0] + i
		}
	}
	v.Size = top + len(specials) - int(v.Base)
	if !v.Layout.single() {
		v.Size = widest + len(specials)
	}
	if v.Layout.single() {
		v.Text = "<|" + v.Prefix + "_%d|>"
	}
	frames := float64(v.SampleRate) / float64(v.HopLength)
	switch v.Layout {
	case Parallel, Delay:
		v.Steps = frames
	case Flat, Coarse:
		v.Steps = frames * float64(len(v.Sizes))
	}
}

// Width is the number of ids in a step.
func (v *Vocabulary) Width() int {
	switch v.Layout {
	case Parallel, Delay:
		return len(v.Sizes)
	case Runs:
		return 2
	}
	return 1
}

// column is the id of a special token in column c.
func (v *Vocabulary) column(c int, name string) int32 {
	if v.Layout.single() {
		return int32(v.Special[name])
	}
	return int32(v.Sizes[c] + slices.Index(specials, name))
}

// row is a step of one special token.
func (v *Vocabulary) row(name string) []int32 {
	row := make([]int32, v.Width())
	for c := range row {
		if v.Layout != Runs || c == 0 {
			row[c] = v.column(c, name)
		}
	}
	return row
}

// top is the largest id.
func (v *Vocabulary) top() int {
	if v.Layout == Runs {
		return math.MaxInt32 // counts
	}
	if v.Layout.single() {
		return int(v.Base) + v.Size - 1
	}
	return v.Size - 1
}

// validate refuses what the rest of the package could not work with.
func (v *Vocabulary) validate() error {
	q := len(v.Sizes)
	switch {
	case v.Version != 1:
		return fmt.Errorf("tokenizer: the vocabulary has version %d, this program reads version 1: use a newer program", v.Version)
	case !slices.Contains(Layouts, v.Layout):
		return fmt.Errorf("tokenizer: layout %q is not known: it is one of %v", v.Layout, Layouts)
	case q < 1 || q > codec.MaxCodebooks:
		return fmt.Errorf("tokenizer: %d codebooks are outside of 1 to %d", q, codec.MaxCodebooks)
	case len(v.Levels) != q || len(v.Offsets) != q || len(v.Order) != q:
		return fmt.Errorf("tokenizer: %d levels, %d offsets and an order of %d for %d codebooks", len(v.Levels), len(v.Offsets), len(v.Order), q)
	case v.Base < 0:
		return fmt.Errorf("tokenizer: the first id %d is negative", v.Base)
	case v.Base > 0 && !v.Layout.single():
		return fmt.Errorf("tokenizer: layout %s has ids of its own in each column: it takes no base", v.Layout)
	case (v.Layout == Units || v.Layout == Runs) && q != 1:
		return fmt.Errorf("tokenizer: layout %s is for one codebook, these frames have %d codes: take fewer, or another layout", v.Layout, q)
	case v.SampleRate < 1 || v.HopLength < 1:
		return fmt.Errorf("tokenizer: frames of %d samples at %d Hz", v.HopLength, v.SampleRate)
	case !plain(v.Prefix):
		return fmt.Errorf("tokenizer: prefix %q: it takes letters, digits, - and _", v.Prefix)
	}
	for c, size := range v.Sizes {
		if !slices.Contains(v.Order, c) {
			return fmt.Errorf("tokenizer: the order %v is none of %d codes", v.Order, q)
		}
		if size < 1 || size > 1<<24 || v.Levels[c] < 0 || v.Levels[c] >= q {
			return fmt.Errorf("tokenizer: codebook %d has %d entries at level %d", c, size, v.Levels[c])
		}
		if o := v.Offsets[c]; o < v.Base || int64(o)+int64(size)+int64(len(specials)) > math.MaxInt32 || !v.Layout.single() && o != 0 {
			return fmt.Errorf("tokenizer: codebook %d has offset %d", c, o)
		}
	}
	return nil
}

// plain reports whether s is a name of letters, digits, - and _.
func plain(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return s != ""
}

// maxVocabulary bounds a vocabulary file, in bytes.
const maxVocabulary = 1 << 20

// ReadVocabulary reads what Write wrote.
func ReadVocabulary(r io.Reader) (*Vocabulary, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxVocabulary+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxVocabulary {
		return nil, errors.New("tokenizer: the vocabulary is larger than 1 MiB")
	}
	v := &Vocabulary{}
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("tokenizer: not a vocabulary: %w", err)
	}
	if err := v.validate(); err != nil {
		return nil, err
	}
	v.derive()
	return v, nil
}

// Write writes the vocabulary as JSON.
func (v *Vocabulary) Write(w io.Writer) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// CheckModel reports a model whose weights did not make these codes.
func (v *Vocabulary) CheckModel(model codec.Info) error {
	if have := model.Fingerprint.String(); v.Fingerprint != have {
		return fmt.Errorf("the tokens were made with weights %s (fingerprint %s), the model at hand is %s (fingerprint %s): load %s, with --model FILE",
			v.Model, v.Fingerprint, model.Name, have, v.Model)
	}
	return nil
}
