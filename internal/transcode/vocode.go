package transcode

import (
	"io"

	"github.com/sotto-audio/sotto/codec/vocos"
	"github.com/sotto-audio/sotto/internal/audio"
	"golang.org/x/sync/errgroup"
)

// Vocoder is a source through a vocoder and back: the sound that the model makes of
// its spectra, of the same length, rate and channels. It implements audio.Reader.
type Vocoder struct {
	src         audio.Reader
	lanes       []*vocodeLane
	block       []float32
	read, given int64 // frames
	ended       bool
}

var _ audio.Reader = (*Vocoder)(nil)

// NewVocoder starts to read src.
func NewVocoder(m *vocos.Model, src audio.Reader) (*Vocoder, error) {
	in, rate := src.Format(), m.Info().SampleRate
	v := &Vocoder{src: src, lanes: make([]*vocodeLane, in.Channels), block: make([]float32, blockFrames(in.SampleRate, in.Channels)*in.Channels)}
	for i := range v.lanes {
		l := &vocodeLane{}
		var err error
		if l.analysis, err = m.NewAnalysis(); err != nil {
			return nil, err
		}
		if l.synthesis, err = m.NewSynthesis(); err != nil {
			return nil, err
		}
		switch {
		case in.SampleRate == rate:
		case i == 0:
			l.in, l.out = audio.NewResampler(in.SampleRate, rate, 1), audio.NewResampler(rate, in.SampleRate, 1)
		default: // one table for all channels
			l.in, l.out = v.lanes[0].in.Clone(), v.lanes[0].out.Clone()
		}
		v.lanes[i] = l
	}
	return v, nil
}

// Format is that of the source.
func (v *Vocoder) Format() audio.Format {
	f := v.src.Format()
	return audio.Format{SampleRate: f.SampleRate, Channels: f.Channels, Kind: "vocoder"}
}

// Frames is the number of samples a channel, -1 when it is not known.
func (v *Vocoder) Frames() int64 { return v.src.Frames() }

// Close does nothing: the source belongs to the caller.
func (v *Vocoder) Close() error { return nil }

// Read gives interleaved samples. The end, of which the model makes no whole frame,
// is silent.
func (v *Vocoder) Read(dst []float32) (int, error) {
	channels := len(v.lanes)
	want := len(dst) / channels
	if want == 0 {
		return 0, io.ErrShortBuffer
	}
	for {
		ready := min(int64(len(v.lanes[0].wave)), v.read-v.given)
		if n := int(min(ready, int64(want))); n > 0 {
			for c, l := range v.lanes {
				for i, x := range l.wave[:n] {
					dst[i*channels+c] = x
				}
				l.wave = l.wave[n:]
			}
			v.given += int64(n)
			return n * channels, nil
		}
		if v.ended {
			return 0, io.EOF
		}
		if err := v.advance(); err != nil {
			return 0, err
		}
	}
}

// advance runs a block of the source through the model.
func (v *Vocoder) advance() error {
	n, err := v.src.Read(v.block)
	v.ended = err == io.EOF
	if err != nil && !v.ended {
		return err
	}
	channels := len(v.lanes)
	v.read += int64(n / channels)
	var g errgroup.Group
	for c, l := range v.lanes {
		g.Go(func() error {
			l.pcm = l.pcm[:0]
			for i := c; i < n; i += channels {
				l.pcm = append(l.pcm, v.block[i])
			}
			return l.run(v.ended, v.read-v.given)
		})
	}
	return g.Wait()
}

// vocodeLane is the path of one channel.
type vocodeLane struct {
	in, out             *audio.Resampler // nil where the rates are equal
	analysis, synthesis *vocos.Stream
	pcm, own, spectra   []float32
	made, wave          []float32 // at the model's rate, and at the source's, not yet given out
}

// run adds the samples that pcm settles, at the end as many as are missing.
func (l *vocodeLane) run(end bool, missing int64) (err error) {
	own := l.pcm
	if l.in != nil {
		if l.own = l.in.Process(l.own[:0], l.pcm); end {
			l.own = l.in.Flush(l.own)
		}
		own = l.own
	}
	if l.spectra, err = l.analysis.Push(l.spectra[:0], own); err != nil {
		return err
	}
	if end {
		if l.spectra, err = l.analysis.Flush(l.spectra); err != nil {
			return err
		}
	}
	if l.made, err = l.synthesis.Push(l.made[:0], l.spectra); err != nil {
		return err
	}
	if end {
		if l.made, err = l.synthesis.Flush(l.made); err != nil {
			return err
		}
	}
	if l.out == nil {
		l.wave = append(l.wave, l.made...)
	} else if l.wave = l.out.Process(l.wave, l.made); end {
		l.wave = l.out.Flush(l.wave)
	}
	if silent := missing - int64(len(l.wave)); end && silent > 0 {
		l.wave = append(l.wave, make([]float32, silent)...)
	}
	return nil
}
