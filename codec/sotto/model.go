// Package sotto is the native codec: 16 kHz speech, 50 token frames a second,
// 1 to 4 kbit/s, causal but for one token frame of lookahead.
//
// Importing it registers the family, and Default gives the model whose weights
// are part of the package.
package sotto

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
)

// Model is a loaded codec. It implements codec.Codec.
type Model struct {
	info      codec.Info
	network   *native.Network
	quantizer *rvq.Quantizer
	device    backend.Backend
	threads   int
	idle      *idle
	hub       *hub // of live streams, nil on the processor
}

// idle holds encoders and decoders of one signal between calls, with their
// memory.
type idle struct{ encoders, decoders sync.Pool }

// newModel makes a codec of a checkpoint on a device.
func newModel(c *native.Checkpoint, fingerprint codec.Fingerprint, device backend.Backend) *Model {
	cfg := c.Network.Config
	rate := float64(cfg.SampleRate) / float64(cfg.HopLength)
	info := codec.Info{
		Name: c.Name, Family: native.Family, Fingerprint: fingerprint,
		SampleRate: cfg.SampleRate, HopLength: cfg.HopLength, FrameRate: rate,
		Streaming: codec.StreamingExact,
		// A sample waits for the frame that it begins and for the frames by which
		// the layers trail.
		Latency:    time.Duration(1+c.Network.Delay()) * time.Duration(cfg.HopLength) * time.Second / time.Duration(cfg.SampleRate),
		Parameters: len(c.Quantizer.Entries()), CodebookSizes: c.Quantizer.Sizes(),
	}
	for _, p := range c.Network.Params() {
		info.Parameters += p.Len()
	}
	for l := 1; l <= cfg.Quantizer.Levels; l++ {
		books := l * cfg.Quantizer.Groups
		info.Levels = append(info.Levels, books)
		info.Bitrates = append(info.Bitrates, float64(codec.FrameBits(info.CodebookSizes[:books]))*rate)
	}
	return &Model{info: info, network: c.Network, quantizer: c.Quantizer.On(device), device: device, idle: &idle{}}
}

// Info describes the model.
func (m *Model) Info() codec.Info {
	i := m.info
	i.CodebookSizes, i.Levels, i.Bitrates = slices.Clone(i.CodebookSizes), slices.Clone(i.Levels), slices.Clone(i.Bitrates)
	return i
}

// Operations is the number of floating-point operations, a multiply-add being two,
// that the matrix products and convolutions of a second of sound take.
func (m *Model) Operations() (encode, decode float64) {
	frame := func(params []*nn.Param) (n float64) {
		for _, p := range params {
			if len(p.Shape) > 1 {
				n += float64(p.Len()) // each weight meets each frame once
			}
		}
		return n
	}
	books := float64(len(m.quantizer.Entries()))
	rate := 2 * m.info.FrameRate
	return rate * (frame(m.network.Encoder.Params()) + books), rate * frame(m.network.Decoder.Params())
}

// levels turns a number of codebooks into residual levels.
func (m *Model) levels(codebooks int) (int, error) {
	if codebooks == 0 {
		codebooks = m.info.Codebooks()
	}
	groups := m.network.Quantizer.Groups
	if codebooks < groups || codebooks > m.info.Codebooks() || codebooks%groups != 0 {
		return 0, fmt.Errorf("sotto: %d codebooks asked for: this model has steps of %v", codebooks, m.info.Levels)
	}
	return codebooks / groups, nil
}

// block is the number of token frames that run at once: enough to keep the
// kernels busy, small enough for constant memory.
const block = 256

// Encode encodes one signal. n samples give ceil(n/HopLength) frames.
func (m *Model) Encode(ctx context.Context, pcm []float32, codebooks int) (*codec.Tokens, error) {
	all, err := m.EncodeBatch(ctx, [][]float32{pcm}, codebooks)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// EncodeBatch encodes several signals side by side. Each gets the tokens that it
// would get alone.
func (m *Model) EncodeBatch(ctx context.Context, pcm [][]float32, codebooks int) (_ []*codec.Tokens, err error) {
	defer backend.Recover(&err)
	levels, err := m.levels(codebooks)
	if err != nil {
		return nil, err
	}
	width, hop := levels*m.network.Quantizer.Groups, m.network.HopLength
	longest := 0
	tokens := make([]*codec.Tokens, len(pcm))
	for i, x := range pcm {
		tokens[i] = &codec.Tokens{Frames: (len(x) + hop - 1) / hop, Codebooks: width}
		longest = max(longest, tokens[i].Frames)
	}
	e := m.takeEncoder(len(pcm), levels)
	defer m.idle.give(e)
	for from := 0; from < longest; from += block {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		frames := min(block, longest-from)
		codes, err := e.step(frames, func(item int, dst []float32) {
			n := 0
			if at := from * hop; at < len(pcm[item]) {
				n = copy(dst, pcm[item][at:])
			}
			clear(dst[n:])
		})
		if err != nil {
			return nil, err
		}
		for i, t := range tokens {
			if keep := min(frames, t.Frames-from); keep > 0 {
				t.Codes = append(t.Codes, codes[i*frames*width:][:keep*width]...)
			}
		}
	}
	return tokens, nil
}

// Decode gives tokens.Frames·HopLength samples.
func (m *Model) Decode(ctx context.Context, tokens *codec.Tokens) (_ []float32, err error) {
	defer backend.Recover(&err)
	if err := tokens.Validate(); err != nil {
		return nil, err
	}
	levels, err := m.levels(tokens.Codebooks)
	if err != nil {
		return nil, err
	}
	d := m.takeDecoder(levels)
	defer m.idle.decoders.Put(d)
	out := make([]float32, 0, tokens.Frames*m.network.HopLength)
	width := tokens.Codebooks
	for from := 0; from < tokens.Frames; from += block {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := min(from+block, tokens.Frames)
		if out, err = d.Decode(out, tokens.Codes[from*width:to*width]); err != nil {
			return nil, err
		}
	}
	return d.Flush(out)
}

// Reconstruct runs encoder and decoder without the quantizer between them: the
// bound on what codes can reach.
func (m *Model) Reconstruct(ctx context.Context, pcm []float32) (_ []float32, err error) {
	defer backend.Recover(&err)
	hop := m.network.HopLength
	frames := (len(pcm) + hop - 1) / hop
	e, d := m.takeEncoder(1, 1), m.takeDecoder(1)
	defer m.idle.give(e)
	defer m.idle.decoders.Put(d)
	out := make([]float32, 0, frames*hop)
	for from := 0; from < frames; from += block {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		latent := e.latents(min(block, frames-from), func(_ int, dst []float32) {
			clear(dst[copy(dst, pcm[from*hop:]):])
		})
		e.stream.Download(d.last, latent.Slice(latent.Rows-1, latent.Rows))
		d.stream.Begin()
		out = d.samples(out, latent)
	}
	return d.Flush(out)
}

// Latents gives the encoder's frames before the quantizer, [T, Dim] of one
// signal: T = ceil(n/HopLength), Dim as LatentDim gives it.
func (m *Model) Latents(ctx context.Context, pcm []float32) (_ []float32, err error) {
	defer backend.Recover(&err)
	hop := m.network.HopLength
	frames := (len(pcm) + hop - 1) / hop
	e := m.takeEncoder(1, 1)
	defer m.idle.give(e)
	out := make([]float32, 0, frames*m.LatentDim())
	for from := 0; from < frames; from += block {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		latent := e.latents(min(block, frames-from), func(_ int, dst []float32) {
			clear(dst[copy(dst, pcm[from*hop:]):])
		})
		at := len(out)
		out = out[:at+latent.Rows*latent.Cols]
		e.stream.Download(out[at:], latent)
	}
	return out, nil
}

// LatentDim is the number of values of an encoder's frame.
func (m *Model) LatentDim() int { return m.network.Quantizer.Dim }

// NewEncoder makes a streaming encoder.
func (m *Model) NewEncoder(codebooks int) (_ codec.Encoder, err error) {
	defer backend.Recover(&err)
	levels, err := m.levels(codebooks)
	if err != nil {
		return nil, err
	}
	return m.live(levels), nil
}

// NewDecoder makes a streaming decoder.
func (m *Model) NewDecoder(codebooks int) (_ codec.Decoder, err error) {
	defer backend.Recover(&err)
	levels, err := m.levels(codebooks)
	if err != nil {
		return nil, err
	}
	return m.decoder(levels), nil
}

// takeEncoder gives an encoder in its first state.
func (m *Model) takeEncoder(batch, levels int) *encoder {
	if e, ok := m.idle.encoders.Get().(*encoder); ok && batch == 1 {
		e.levels = levels
		e.Reset()
		return e
	}
	return m.encoder(batch, levels)
}

func (i *idle) give(e *encoder) {
	if e.stream.Batch == 1 {
		i.encoders.Put(e)
	}
}

// takeDecoder gives a decoder in its first state.
func (m *Model) takeDecoder(levels int) *decoder {
	if d, ok := m.idle.decoders.Get().(*decoder); ok {
		d.levels = levels
		d.Reset()
		return d
	}
	return m.decoder(levels)
}

func (m *Model) encoder(batch, levels int) *encoder {
	return &encoder{
		network: m.network, quantizer: m.quantizer.Fork(), levels: levels,
		stream: nn.NewStream(m.device, batch),
	}
}

// live gives the encoder of a live stream: on a device together with others.
func (m *Model) live(levels int) *encoder {
	e := m.encoder(1, levels)
	if m.hub != nil {
		e.seat = m.hub.take()
	}
	return e
}

func (m *Model) decoder(levels int) *decoder {
	d := &decoder{
		network: m.network, quantizer: m.quantizer.Fork(), levels: levels,
		stream: nn.NewStream(m.device, 1),
		last:   make([]float32, m.network.Quantizer.Dim),
	}
	d.Reset()
	return d
}

var _ codec.Codec = (*Model)(nil)
