package published

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/nn"
)

// Model is what a family builds of a checkpoint.
type Model struct {
	Name       string // such as "encodec-24khz"
	SampleRate int    // Hz
	Hop        int    // samples of a token frame
	Encoder    nn.Layer
	Quantizer  Quantizer
	Decoder    nn.Layer
	// InputRow is the number of samples in a row of the encoder's input, 0 for 1.
	// The encoder gives FrameRows rows a frame, 0 for 1; the values of the
	// decoder's rows, in their order, are the samples.
	InputRow, FrameRows int
	// PadInput is the number of samples that a signal is filled up to a multiple of
	// with zeros before the encoder sees it, 0 for none.
	PadInput int
	// Levels are the numbers of codebooks that may be used, nil for every one.
	Levels []int
	// Wrap gives what codec.Load returns, nil for the codec itself: families whose
	// models can more than others.
	Wrap func(*Codec) codec.Codec
}

// Family is an architecture.
type Family struct {
	Name string
	// Detect reports whether a checkpoint is one of this family, by its names and
	// its configuration.
	Detect func(c *Checkpoint) bool
	// Build makes the model. Errors of the checkpoint's methods need no care: they
	// are reported after Build.
	Build func(c *Checkpoint) (*Model, error)
}

var families struct {
	sync.Mutex
	all []Family
}

// Register makes a family known to codec.Load. Family packages call it when they
// are imported.
func Register(f Family) {
	families.Lock()
	defer families.Unlock()
	families.all = append(families.all, f)
	load := func(path string) (codec.Codec, error) {
		c, err := Load(path)
		if err != nil {
			return nil, err // not a nil *Codec
		}
		if c.Wrap != nil {
			return c.Wrap(c), nil
		}
		return c, nil
	}
	codec.Register(f.Name, load)
	codec.RegisterOriginal(load)
}

// ErrUnknown says that no family knows a checkpoint.
var ErrUnknown = errors.New("not a checkpoint of a known architecture")

// Load opens a published checkpoint, or a converted one.
func Load(path string) (*Codec, error) {
	c, family, model, err := build(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return New(family, model), nil
}

// build opens a checkpoint and builds its model.
func build(path string) (*Checkpoint, string, *Model, error) {
	c, err := Open(path)
	if err != nil {
		return nil, "", nil, err
	}
	f, err := detect(c)
	if err != nil {
		c.Close()
		return nil, "", nil, err
	}
	m, err := f.Build(c)
	if err == nil {
		err = c.Err()
	} else if own := errors.Join(c.errs...); own != nil {
		err = own // the cause
	}
	if err != nil {
		c.Close()
		return nil, "", nil, fmt.Errorf("as %s: %w", f.Name, err)
	}
	return c, f.Name, m, nil
}

func detect(c *Checkpoint) (Family, error) {
	families.Lock()
	all := slices.Clone(families.all)
	families.Unlock()
	named, _ := c.Value("family")
	var names []string
	for _, f := range all {
		if named == any(f.Name) || (named == nil || named == "") && f.Detect(c) {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Family{}, fmt.Errorf("%w: its %d arrays, such as %s, belong to none of %v", ErrUnknown, len(c.names), some(c.Names()[:min(1, len(c.names))]), names)
}

// Codec runs a model. It is safe for concurrent use.
type Codec struct {
	*Model
	info   codec.Info
	device backend.Backend
	window int // frames
}

var _ codec.Codec = (*Codec)(nil)

// DefaultWindow is the longest signal that a model which looks at everything sees
// whole.
const DefaultWindow = time.Minute

// New makes a codec of a model.
func New(family string, m *Model) *Codec {
	m.InputRow, m.FrameRows = max(m.InputRow, 1), max(m.FrameRows, 1)
	c := &Codec{Model: m, device: cpu.New(0)}
	rate := float64(m.SampleRate) / float64(m.Hop)
	c.info = codec.Info{
		Name: m.Name, Family: family, SampleRate: m.SampleRate, HopLength: m.Hop, FrameRate: rate,
		CodebookSizes: m.Quantizer.Sizes(), Levels: m.Levels, Streaming: codec.StreamingExact, Fingerprint: m.fingerprint(),
	}
	frameBits := 0
	for i, size := range c.info.CodebookSizes {
		frameBits += bits.Len(uint(size - 1))
		if m.Levels == nil {
			c.info.Levels = append(c.info.Levels, i+1)
		}
		if slices.Contains(c.info.Levels, i+1) {
			c.info.Bitrates = append(c.info.Bitrates, float64(frameBits)*rate)
		}
	}
	for _, p := range m.Params() {
		c.info.Parameters += p.Len()
	}
	c.window = int(DefaultWindow.Seconds() * rate)
	in, out := nn.ReachOf(m.Encoder), nn.ReachOf(m.Decoder)
	if math.IsInf(in.Ahead, 1) || math.IsInf(out.Ahead, 1) {
		c.info.Streaming = codec.StreamingWindowed
	}
	c.info.Latency = c.latency(in, out)
	return c
}

// latency is a frame and what both halves look ahead; that of a window where one
// looks at everything.
func (c *Codec) latency(in, out nn.Reach) time.Duration {
	samples := float64(c.Hop) + float64(in.Ahead*float64(c.InputRow)) + float64(out.Ahead*float64(c.Hop))/float64(c.FrameRows)
	if math.IsInf(samples, 1) {
		samples = float64(c.window * c.Hop)
	}
	return time.Duration(math.Ceil(samples) * float64(time.Second) / float64(c.SampleRate))
}

// Windowed gives the same model with another length of the windows that longer
// signals are cut into.
func (c *Codec) Windowed(length time.Duration) *Codec {
	w := *c
	w.window = max(int(length.Seconds()*c.info.FrameRate), 4*c.overlap())
	if w.info.Streaming != codec.StreamingExact {
		w.info.Latency = w.latency(nn.Everything(), nn.Everything())
	}
	return &w
}

// WithDecoder gives the same model with another decoder of the same sizes.
func (c *Codec) WithDecoder(l nn.Layer) *Codec {
	w, m := *c, *c.Model
	m.Decoder = l
	w.Model = &m
	return &w
}

// Window is the longest signal that is seen whole.
func (c *Codec) Window() time.Duration {
	return time.Duration(float64(c.window) / c.info.FrameRate * float64(time.Second))
}

// Params lists what was trained, in the order of the layers.
func (m *Model) Params() []*nn.Param {
	return slices.Concat(m.Encoder.Params(), m.Quantizer.Params(), m.Decoder.Params())
}

// fingerprint is that of the values, whatever their names were.
func (m *Model) fingerprint() (f codec.Fingerprint) {
	h := sha256.New()
	for _, p := range m.Params() {
		var raw []byte
		raw = binary.LittleEndian.AppendUint64(raw, uint64(len(p.Shape)))
		for _, d := range p.Shape {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(d))
		}
		for _, v := range p.Data {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		h.Write(raw)
	}
	copy(f[:], h.Sum(nil))
	return f
}

// Info describes the model.
func (c *Codec) Info() codec.Info {
	i := c.info
	i.CodebookSizes, i.Levels, i.Bitrates = slices.Clone(i.CodebookSizes), slices.Clone(i.Levels), slices.Clone(i.Bitrates)
	return i
}

// Stream makes a stream on the codec's device, for families that run the parts of
// the model themselves.
func (c *Codec) Stream() *nn.Stream { return nn.NewStream(c.device, 1) }

// Width checks a number of codebooks; 0 is all of them.
func (c *Codec) Width(codebooks int) (int, error) {
	if codebooks == 0 {
		codebooks = c.info.Codebooks()
	}
	if !slices.Contains(c.info.Levels, codebooks) {
		return 0, fmt.Errorf("codec: %d codebooks asked for: %s has steps of %v", codebooks, c.info.Name, c.info.Levels)
	}
	return codebooks, nil
}
