package published

import (
	"context"
	"fmt"
	"math"
	"runtime"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"golang.org/x/sync/errgroup"
)

// pieceSeconds is how much of a signal runs at once: enough rows, at the rate of the
// frames, for weights that come from memory.
const pieceSeconds = 4

// piece is the number of frames that run at once.
func (c *Codec) piece() int { return max(1, pieceSeconds*c.SampleRate/c.Hop) }

// overlap is the number of frames that windows share: two seconds. A layer that
// looks at everything has no bound that would suffice.
func (c *Codec) overlap() int { return max(2, 2*c.SampleRate/c.Hop/2*2) }

// NewEncoder makes a streaming encoder.
func (c *Codec) NewEncoder(codebooks int) (codec.Encoder, error) {
	n, err := c.Width(codebooks)
	if err != nil {
		return nil, err
	}
	e := &encoder{c: c, width: n, stream: nn.NewStream(c.device, 1)}
	if math.IsInf(nn.ReachOf(c.Encoder).Ahead, 1) {
		return &windowEncoder{c: c, whole: e}, nil
	}
	return e, nil
}

// NewDecoder makes a streaming decoder.
func (c *Codec) NewDecoder(codebooks int) (codec.Decoder, error) {
	n, err := c.Width(codebooks)
	if err != nil {
		return nil, err
	}
	d := &decoder{c: c, width: n, stream: nn.NewStream(c.device, 1)}
	if math.IsInf(nn.ReachOf(c.Decoder).Ahead, 1) {
		return &windowDecoder{c: c, whole: d}, nil
	}
	return d, nil
}

// Encode encodes one signal.
func (c *Codec) Encode(ctx context.Context, pcm []float32, codebooks int) (_ *codec.Tokens, err error) {
	defer backend.Recover(&err)
	e, err := c.NewEncoder(codebooks)
	if err != nil {
		return nil, err
	}
	var codes []int32
	for len(pcm) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(c.piece()*c.Hop, len(pcm))
		if codes, err = e.Encode(codes, pcm[:n]); err != nil {
			return nil, err
		}
		pcm = pcm[n:]
	}
	if codes, err = e.Flush(codes); err != nil {
		return nil, err
	}
	return &codec.Tokens{Codes: codes, Frames: len(codes) / e.Codebooks(), Codebooks: e.Codebooks()}, ctx.Err()
}

// EncodeBatch encodes signals side by side. Each gets the tokens that it would get
// alone, whatever the length of the others: nothing is padded.
func (c *Codec) EncodeBatch(ctx context.Context, pcm [][]float32, codebooks int) ([]*codec.Tokens, error) {
	all := make([]*codec.Tokens, len(pcm))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, x := range pcm {
		g.Go(func() (err error) {
			all[i], err = c.Encode(ctx, x, codebooks)
			return err
		})
	}
	return all, g.Wait()
}

// Decode gives tokens.Frames·Hop samples.
func (c *Codec) Decode(ctx context.Context, tokens *codec.Tokens) (_ []float32, err error) {
	defer backend.Recover(&err)
	if err := tokens.Validate(); err != nil {
		return nil, err
	}
	d, err := c.NewDecoder(tokens.Codebooks)
	if err != nil {
		return nil, err
	}
	out := make([]float32, 0, tokens.Frames*c.Hop)
	for from := 0; from < tokens.Frames; from += c.piece() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := min(from+c.piece(), tokens.Frames)
		if out, err = d.Decode(out, tokens.Codes[from*tokens.Codebooks:to*tokens.Codebooks]); err != nil {
			return nil, err
		}
	}
	if out, err = d.Flush(out); err != nil {
		return nil, err
	}
	return out, ctx.Err()
}

// encoder is a codec.Encoder that runs the network as samples come.
type encoder struct {
	c       *Codec
	width   int
	stream  *nn.Stream
	pending []float32 // samples that the network has not seen
	latents []float32 // rows of an unfinished frame
	seen    int       // samples
	given   int       // frames
	last    []int32   // codes of the newest frame
}

func (e *encoder) Codebooks() int { return e.width }

// Encode appends the codes of the frames that the samples settle.
func (e *encoder) Encode(dst []int32, pcm []float32) (_ []int32, err error) {
	defer backend.Recover(&err)
	e.seen += len(pcm)
	for len(e.pending)+len(pcm) >= e.c.Hop {
		n := min((len(e.pending)+len(pcm))/e.c.Hop, e.c.piece())*e.c.Hop - len(e.pending)
		e.pending = append(e.pending, pcm[:n]...)
		dst = e.step(dst, false)
		pcm = pcm[n:]
	}
	e.pending = append(e.pending, pcm...)
	return dst, nil
}

// step runs the network over the pending samples.
func (e *encoder) step(dst []int32, last bool) []int32 {
	s, c := e.stream, e.c
	s.Begin()
	s.Last = last
	x := s.Tensor(len(e.pending)/c.InputRow, c.InputRow)
	s.Upload(x, e.pending)
	e.pending = e.pending[:0]
	z := c.Encoder.Step(s, x)
	rows := len(e.latents)/max(z.Cols, 1) + z.Rows
	frames := rows / c.FrameRows
	if frames == 0 || len(e.latents) > 0 || rows%c.FrameRows != 0 {
		at := len(e.latents)
		e.latents = append(e.latents, make([]float32, z.Rows*z.Cols)...)
		s.Download(e.latents[at:], z)
		used := frames * c.FrameRows * z.Cols
		z = s.Tensor(frames*c.FrameRows, z.Cols)
		s.Upload(z, e.latents[:used])
		e.latents = append(e.latents[:0], e.latents[used:]...)
	}
	if frames == 0 {
		return dst
	}
	codes := c.Quantizer.Encode(s, z, e.width)
	e.last = append(e.last[:0], codes[len(codes)-e.width:]...)
	e.given += frames
	return append(dst, codes...)
}

// Flush gives the frames that wait for samples: ⌈n/Hop⌉ in all. Where the network
// makes one less of a part of a frame, its last one stands twice.
func (e *encoder) Flush(dst []int32) (_ []int32, err error) {
	defer backend.Recover(&err)
	c := e.c
	if e.seen == 0 {
		return dst, nil
	}
	fill := c.InputRow
	if c.PadInput > 0 {
		fill = c.PadInput
	}
	if over := e.seen % fill; over > 0 {
		e.pending = append(e.pending, make([]float32, fill-over)...)
	}
	// A long pending signal, which padding may make, runs as others do.
	dst = e.step(dst, true)
	want := (e.seen + c.Hop - 1) / c.Hop
	if e.given > want {
		dst = dst[:len(dst)-(e.given-want)*e.width]
	}
	for ; e.given < want; e.given++ {
		if e.last == nil {
			return dst, fmt.Errorf("codec: %d samples are too few for %s", e.seen, c.Name)
		}
		dst = append(dst, e.last...)
	}
	e.given = want
	return dst, nil
}

// Reset forgets the signal.
func (e *encoder) Reset() {
	e.stream.Reset()
	e.pending, e.latents, e.last = e.pending[:0], e.latents[:0], nil
	e.seen, e.given = 0, 0
}

// decoder is a codec.Decoder that runs the network as frames come.
type decoder struct {
	c      *Codec
	width  int
	stream *nn.Stream
	last   []int32 // codes of the newest frame, for concealment
	frames int
	given  int // samples
}

// Decode appends the samples that the frames settle.
func (d *decoder) Decode(dst []float32, codes []int32) (_ []float32, err error) {
	defer backend.Recover(&err)
	if err := d.c.Check(codes, d.width); err != nil {
		return dst, err
	}
	for len(codes) > 0 {
		n := min(len(codes), d.c.piece()*d.width)
		dst = d.step(dst, codes[:n], false)
		codes = codes[n:]
	}
	return dst, nil
}

// Check holds codes, whole frames of that many, to their codebooks.
func (c *Codec) Check(codes []int32, width int) error {
	if len(codes)%width != 0 {
		return fmt.Errorf("codec: %d codes are not whole frames of %d", len(codes), width)
	}
	for i, code := range codes {
		if size := c.info.CodebookSizes[i%width]; code < 0 || int(code) >= size {
			return fmt.Errorf("codec: code %d in codebook %d: it has %d entries", code, i%width, size)
		}
	}
	return nil
}

// step runs the network over frames.
func (d *decoder) step(dst []float32, codes []int32, last bool) []float32 {
	s, c := d.stream, d.c
	s.Begin()
	s.Last = last
	var z *backend.Tensor
	if len(codes) > 0 {
		z = c.Quantizer.Decode(s, codes, d.width)
		d.last = append(d.last[:0], codes[len(codes)-d.width:]...)
		d.frames += len(codes) / d.width
	} else {
		z = s.Rows(c.Quantizer.Decode(s, d.last, d.width), 0, 0)
	}
	y := c.Decoder.Step(s, z)
	at, n := len(dst), y.Rows*y.Cols
	dst = append(dst, make([]float32, n)...)
	s.Download(dst[at:], y)
	if over := d.given + n - d.frames*c.Hop; last && over > 0 {
		n -= over
		dst = dst[:at+n]
	}
	d.given += n
	return dst
}

// Conceal repeats the last frame.
func (d *decoder) Conceal(dst []float32, n int) ([]float32, error) {
	if len(d.last) == 0 {
		d.last = make([]int32, d.width)
	}
	codes := make([]int32, 0, n*d.width)
	for range n {
		codes = append(codes, d.last...)
	}
	return d.Decode(dst, codes)
}

// Flush appends the samples that are held back.
func (d *decoder) Flush(dst []float32) (_ []float32, err error) {
	defer backend.Recover(&err)
	if d.frames == 0 {
		return dst, nil
	}
	dst = d.step(dst, nil, true)
	if missing := d.frames*d.c.Hop - d.given; missing > 0 {
		dst = append(dst, make([]float32, missing)...)
		d.given += missing
	}
	return dst, nil
}

// Reset forgets the signal.
func (d *decoder) Reset() {
	d.stream.Reset()
	d.last, d.frames, d.given = d.last[:0], 0, 0
}
