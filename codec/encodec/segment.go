package encodec

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// Model is a loaded EnCodec. The model of 24 kHz is a codec.Codec like others. The
// stereo model encodes two channels together, a second at a time and each at its
// own level, which tokens alone cannot hold: it gives Segments, and files of its
// own format (WriteECDC).
type Model struct {
	net *published.Codec
	shape
}

var _ codec.Codec = (*Model)(nil)

// Info describes the model.
func (m *Model) Info() codec.Info { return m.net.Info() }

// Channels of the signal: 1 or 2.
func (m *Model) Channels() int { return m.network.Channels }

// plain reports whether tokens say everything.
func (m *Model) plain() error {
	if m.Channels() > 1 || m.normalize || m.segment > 0 {
		return fmt.Errorf("%s encodes %d channels together, with a level for each second: give an output that ends in .ecdc", m.net.Name, m.Channels())
	}
	return nil
}

// NewEncoder makes a streaming encoder of the model of 24 kHz.
func (m *Model) NewEncoder(codebooks int) (codec.Encoder, error) {
	if err := m.plain(); err != nil {
		return nil, err
	}
	return m.net.NewEncoder(codebooks)
}

// NewDecoder makes a streaming decoder of the model of 24 kHz.
func (m *Model) NewDecoder(codebooks int) (codec.Decoder, error) {
	if err := m.plain(); err != nil {
		return nil, err
	}
	return m.net.NewDecoder(codebooks)
}

// Encode encodes a mono signal with the model of 24 kHz.
func (m *Model) Encode(ctx context.Context, pcm []float32, codebooks int) (*codec.Tokens, error) {
	if err := m.plain(); err != nil {
		return nil, err
	}
	return m.net.Encode(ctx, pcm, codebooks)
}

// Decode decodes tokens with the model of 24 kHz.
func (m *Model) Decode(ctx context.Context, tokens *codec.Tokens) ([]float32, error) {
	if err := m.plain(); err != nil {
		return nil, err
	}
	return m.net.Decode(ctx, tokens)
}

// Segment is a stretch of sound in codes.
type Segment struct {
	codec.Tokens
	Scale float32 // level that the samples were divided by, 0 where they were not
}

// lengths are the samples of a segment and from one to the next, of a signal of n.
func (m *Model) lengths(n int64) (length, stride int64) {
	if m.segment == 0 {
		return n, max(n, 1)
	}
	length = int64(m.segment * float64(m.sampleRate))
	return length, max(1, int64((1-m.overlap)*float64(length)))
}

// EncodeSegments encodes interleaved samples of Channels channels with the first
// codebooks (0 for all).
func (m *Model) EncodeSegments(ctx context.Context, pcm []float32, codebooks int) (_ []Segment, err error) {
	defer backend.Recover(&err)
	width, err := m.net.Width(codebooks)
	if err != nil {
		return nil, err
	}
	ch := m.Channels()
	if len(pcm)%ch != 0 {
		return nil, fmt.Errorf("encodec: %d samples of %d channels", len(pcm), ch)
	}
	n := len(pcm) / ch
	if m.plain() == nil {
		t, err := m.net.Encode(ctx, pcm, width)
		if err != nil || n == 0 {
			return nil, err
		}
		return []Segment{{Tokens: *t}}, nil
	}
	var all []Segment
	length, stride := m.lengths(int64(n))
	s := m.net.Stream()
	for at := int64(0); at < int64(n); at += stride {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		all = append(all, m.encode(s, pcm[int(at)*ch:int(min(at+length, int64(n)))*ch], width))
	}
	return all, nil
}

// encode encodes one segment.
func (m *Model) encode(s *nn.Stream, pcm []float32, width int) Segment {
	ch := m.Channels()
	var seg Segment
	s.Reset()
	s.Begin()
	s.Last = true
	if m.normalize {
		seg.Scale = level(pcm, ch)
		pcm = slices.Clone(pcm)
		for i := range pcm {
			pcm[i] /= seg.Scale
		}
	}
	x := s.Tensor(len(pcm)/ch, ch)
	s.Upload(x, pcm)
	z := m.net.Encoder.Step(s, x)
	seg.Codes = m.net.Quantizer.Encode(s, z, width)
	seg.Frames, seg.Codebooks = z.Rows, width
	return seg
}

// level is the root mean square of the mean of the channels, a little above zero.
func level(pcm []float32, channels int) float32 {
	var sum float64
	for i := 0; i < len(pcm); i += channels {
		var mono float32
		for _, v := range pcm[i : i+channels] {
			mono += v
		}
		v := float64(mono / float32(channels))
		sum += float64(v * v)
	}
	return float32(math.Sqrt(sum/float64(len(pcm)/channels))) + 1e-8
}

// DecodeSegments gives interleaved samples of Channels channels: segments fade into
// each other linearly where they overlap.
func (m *Model) DecodeSegments(ctx context.Context, segments []Segment) (_ []float32, err error) {
	defer backend.Recover(&err)
	ch := m.Channels()
	for i := range segments {
		t := &segments[i].Tokens
		if err := t.Validate(); err != nil {
			return nil, err
		}
		if _, err := m.net.Width(t.Codebooks); err != nil {
			return nil, err
		}
		if err := m.net.Check(t.Codes, t.Codebooks); err != nil {
			return nil, err
		}
	}
	if len(segments) == 0 {
		return nil, nil
	}
	if m.plain() == nil {
		if len(segments) > 1 {
			return nil, fmt.Errorf("encodec: %d segments of a model that has one", len(segments))
		}
		return m.net.Decode(ctx, &segments[0].Tokens)
	}
	// A sample's weight is a triangle over the first segment.
	first := segments[0].Frames * m.net.Hop
	weight := make([]float32, first)
	for i := range weight {
		weight[i] = float32(0.5 - math.Abs(float64(i+1)/float64(first+1)-0.5))
	}
	_, stride := m.lengths(math.MaxInt32)
	s := m.net.Stream()
	var out, sum []float32
	for i, seg := range segments {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		wave := m.decode(s, seg)
		n := min(len(wave)/ch, first)
		at := i * int(stride)
		if need := at + n - len(sum); need > 0 {
			sum = append(sum, make([]float32, need)...)
			out = append(out, make([]float32, need*ch)...)
		}
		for t := range n {
			sum[at+t] += weight[t]
			for c := range ch {
				out[(at+t)*ch+c] += float32(weight[t] * wave[t*ch+c])
			}
		}
	}
	for t, w := range sum {
		for c := range ch {
			if w > 0 {
				out[t*ch+c] /= w
			}
		}
	}
	return out, nil
}

// decode decodes one segment.
func (m *Model) decode(s *nn.Stream, seg Segment) []float32 {
	s.Reset()
	s.Begin()
	s.Last = true
	y := m.net.Decoder.Step(s, m.net.Quantizer.Decode(s, seg.Codes, seg.Codebooks))
	wave := make([]float32, y.Rows*y.Cols)
	s.Download(wave, y)
	if seg.Scale != 0 {
		for i := range wave {
			wave[i] *= seg.Scale
		}
	}
	return wave
}
