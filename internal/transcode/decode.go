package transcode

import (
	"fmt"
	"io"
	"slices"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"golang.org/x/sync/errgroup"
)

// Decoder reads the sound of a .sotto file; it implements audio.Reader. Damaged
// packets are concealed, and Damage names them after the end.
type Decoder struct {
	r     *codec.Reader
	h     codec.Header
	lanes []*decodeLane
	hold  int       // frames kept back until the length is known
	lost  int       // token frames still to conceal
	codes [][]int32 // of the current packet, not yet decoded
	given int64     // frames given out
	ended bool
	count struct{ whole, lost int64 } // token frames so far
}

var _ audio.Reader = (*Decoder)(nil)

// NewDecoder starts to decode. Tokens of other weights are refused with a
// *codec.WeightsError.
func NewDecoder(c codec.Codec, r *codec.Reader) (*Decoder, error) {
	h, model := r.Header(), c.Info()
	if err := h.CheckWeights(model); err != nil {
		return nil, err
	}
	books := len(h.CodebookSizes)
	if h.ModelRate != model.SampleRate || h.HopLength != model.HopLength ||
		books > model.Codebooks() || !slices.Equal(h.CodebookSizes, model.CodebookSizes[:books]) {
		return nil, fmt.Errorf("%w: its header contradicts the model %s", codec.ErrFormat, model.Name)
	}
	if h.SampleRate > audio.MaxSampleRate || h.Channels > audio.MaxChannels {
		return nil, fmt.Errorf("%d channels at %d Hz: at most %d channels at %d Hz can be decoded", h.Channels, h.SampleRate, audio.MaxChannels, audio.MaxSampleRate)
	}
	d := &Decoder{r: r, h: h, lanes: make([]*decodeLane, h.Channels)}
	// The last token frame is filled up with silence, and resampling rounds up:
	// this much of the end may not belong to the signal.
	d.hold = (h.HopLength*h.SampleRate+h.ModelRate-1)/h.ModelRate + 2
	for i := range d.lanes {
		dec, err := c.NewDecoder(books)
		if err != nil {
			return nil, err
		}
		d.lanes[i] = &decodeLane{decoder: dec}
		switch {
		case h.SampleRate == h.ModelRate:
		case i == 0:
			d.lanes[i].resampler = audio.NewResampler(h.ModelRate, h.SampleRate, 1)
		default: // one table for all channels
			d.lanes[i].resampler = d.lanes[0].resampler.Clone()
		}
	}
	return d, nil
}

// Format is that of the original.
func (d *Decoder) Format() audio.Format {
	return audio.Format{SampleRate: d.h.SampleRate, Channels: d.h.Channels, Kind: "sotto"}
}

// Frames is the number of samples a channel, -1 when it is not known yet.
func (d *Decoder) Frames() int64 { return d.r.Samples() }

// Damage lists what was found damaged so far.
func (d *Decoder) Damage() []error { return d.r.Damage() }

// Extent is the number of token frames so far: those that are there, and those that
// are lost and concealed.
func (d *Decoder) Extent() (whole, lost int64) { return d.count.whole, d.count.lost }

// Close does nothing: the stream belongs to the caller.
func (d *Decoder) Close() error { return nil }

// Read gives interleaved samples.
func (d *Decoder) Read(dst []float32) (int, error) {
	want := len(dst) / d.h.Channels
	if want == 0 {
		return 0, io.ErrShortBuffer
	}
	for {
		ready := len(d.lanes[0].out)
		if !d.ended {
			ready -= d.hold
		}
		if n := min(ready, want); n > 0 {
			for c, lane := range d.lanes {
				for i, v := range lane.out[:n] {
					dst[i*d.h.Channels+c] = v
				}
				lane.out = lane.out[n:]
			}
			d.given += int64(n)
			return n * d.h.Channels, nil
		}
		if d.ended {
			return 0, io.EOF
		}
		if err := d.advance(); err != nil {
			return 0, err
		}
	}
}

// advance decodes up to about a second more.
func (d *Decoder) advance() error {
	books := len(d.h.CodebookSizes)
	step := max(1, blockFrames(d.h.SampleRate, d.h.Channels)*d.h.ModelRate/(d.h.HopLength*d.h.SampleRate))
	switch {
	case d.lost > 0:
		n := min(step, d.lost)
		d.lost -= n
		d.count.lost += int64(n)
		return d.each(func(_ int, l *decodeLane) error { return l.conceal(n) })
	case d.codes != nil:
		n := min(step*books, len(d.codes[0]))
		err := d.each(func(c int, l *decodeLane) error { return l.decode(d.codes[c][:n]) })
		for c := range d.codes {
			d.codes[c] = d.codes[c][n:]
		}
		if len(d.codes[0]) == 0 {
			d.codes = nil
		}
		return err
	}
	p, err := d.r.Next()
	switch {
	case err == io.EOF:
		if err := d.each(func(_ int, l *decodeLane) error { return l.flush() }); err != nil {
			return err
		}
		d.ended = true
		if samples := d.r.Samples(); samples >= 0 {
			for _, l := range d.lanes {
				l.out = l.out[:max(0, min(samples-d.given, int64(len(l.out))))]
			}
		}
	case err != nil:
		return err
	case p.Lost:
		d.lost = p.Frames
	case p.Frames > 0:
		d.codes = p.Codes
		d.count.whole += int64(p.Frames)
	}
	return nil
}

// each runs the channels side by side.
func (d *Decoder) each(run func(channel int, l *decodeLane) error) error {
	var g errgroup.Group
	for c, l := range d.lanes {
		g.Go(func() error { return run(c, l) })
	}
	return g.Wait()
}

// decodeLane is the path of one channel.
type decodeLane struct {
	decoder   codec.Decoder
	resampler *audio.Resampler // nil where the rates are equal
	pcm       []float32        // at the model's rate
	out       []float32        // at the original rate, not yet given out
}

func (l *decodeLane) decode(codes []int32) (err error) {
	l.pcm, err = l.decoder.Decode(l.pcm[:0], codes)
	l.add()
	return err
}

func (l *decodeLane) conceal(frames int) (err error) {
	l.pcm, err = l.decoder.Conceal(l.pcm[:0], frames)
	l.add()
	return err
}

func (l *decodeLane) flush() (err error) {
	l.pcm, err = l.decoder.Flush(l.pcm[:0])
	l.add()
	if l.resampler != nil {
		l.out = l.resampler.Flush(l.out)
	}
	return err
}

func (l *decodeLane) add() {
	if l.resampler == nil {
		l.out = append(l.out, l.pcm...)
		return
	}
	l.out = l.resampler.Process(l.out, l.pcm)
}
