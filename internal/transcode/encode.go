package transcode

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"golang.org/x/sync/errgroup"
)

// EncodeOptions changes what Encode does; the zero value is ready to use.
type EncodeOptions struct {
	Codebooks    int                // a frame; 0 means all
	Mono         bool               // mix the channels to one
	PacketFrames int                // frames a packet; 0 means one second
	Entropy      *codec.Entropy     // codes the packets; nil packs bits
	Progress     func(frames int64) // told how many input frames are done
}

// Summary describes an encoded file.
type Summary struct {
	Samples     int64   // a channel at SampleRate
	SampleRate  int     // Hz
	Channels    int     // streams in the file
	Frames      int64   // token frames a channel
	Codebooks   int     // codes a frame
	Bitrate     float64 // bits per second of the tokens of all channels
	Bytes       int64   // of the file
	SourceBytes int64   // of the source as 16-bit PCM
}

// Ratio is how many times smaller the file is than 16-bit PCM.
func (s Summary) Ratio() float64 { return float64(s.SourceBytes) / float64(max(s.Bytes, 1)) }

// Encode reads src to its end and writes a .sotto file. A source that breaks off
// leaves a whole file of what came before and a *DamageError.
func Encode(ctx context.Context, c codec.Codec, src audio.Reader, dst io.Writer, o EncodeOptions) (Summary, error) {
	model, in := c.Info(), src.Format()
	books := o.Codebooks
	if books == 0 {
		books = model.Codebooks()
	}
	channels := in.Channels
	if o.Mono {
		channels = 1
	}
	sum := Summary{SampleRate: in.SampleRate, Channels: channels, Codebooks: books}
	lanes := make([]*encodeLane, channels)
	for i := range lanes {
		e, err := c.NewEncoder(books)
		if err != nil {
			return sum, err
		}
		lanes[i] = &encodeLane{encoder: e}
		switch {
		case in.SampleRate == model.SampleRate:
		case i == 0:
			lanes[i].resampler = audio.NewResampler(in.SampleRate, model.SampleRate, 1)
		default: // one table for all channels
			lanes[i].resampler = lanes[0].resampler.Clone()
		}
	}
	out := &countingWriter{w: dst}
	var opts []codec.WriterOption
	if o.PacketFrames > 0 {
		opts = append(opts, codec.WithPacketFrames(o.PacketFrames))
	}
	if o.Entropy != nil {
		opts = append(opts, codec.WithEntropy(o.Entropy))
	}
	w, err := codec.NewWriter(out, codec.Header{
		Model: model.Name, Fingerprint: model.Fingerprint, ModelRate: model.SampleRate, HopLength: model.HopLength,
		SampleRate: in.SampleRate, Channels: channels, Bits: in.Bits, Samples: max(src.Frames(), -1),
		CodebookSizes: model.CodebookSizes[:books],
	}, opts...)
	if err != nil {
		return sum, err
	}

	block := make([]float32, blockFrames(in.SampleRate, in.Channels)*in.Channels)
	codes := make([][]int32, channels)
	run := func(pcm []float32, end bool) error {
		var g errgroup.Group
		for i, lane := range lanes {
			g.Go(func() error {
				lane.take(pcm, in.Channels, i, o.Mono)
				var err error
				codes[i], err = lane.encode(end)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		sum.Frames += int64(len(codes[0]) / books)
		return w.WriteFrames(codes)
	}
	var damage error
	for damage == nil {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		n, err := src.Read(block)
		if n > 0 {
			if err := run(block[:n], false); err != nil {
				return sum, err
			}
			sum.Samples += int64(n / in.Channels)
			if o.Progress != nil {
				o.Progress(sum.Samples)
			}
		}
		if err == io.EOF {
			break
		}
		damage = err
	}
	if damage != nil && sum.Samples == 0 {
		return sum, damage
	}
	if err := run(nil, true); err != nil {
		return sum, err
	}
	if err := w.Close(sum.Samples); err != nil {
		return sum, err
	}
	sum.Bitrate = TokenRate(model, books) * float64(channels)
	sum.Bytes, sum.SourceBytes = out.n, sum.Samples*int64(in.Channels)*2
	if damage != nil {
		return sum, &DamageError{[]error{damage}}
	}
	return sum, nil
}

// TokenRate is the bits per second of one channel's tokens of that many
// codebooks.
func TokenRate(model codec.Info, books int) float64 {
	return float64(codec.FrameBits(model.CodebookSizes[:books])) * float64(model.SampleRate) / float64(model.HopLength)
}

// Codebooks gives the number of codebooks at a bitrate in kbit/s a channel; 0
// gives all of them. Where sizes of codebooks make uneven steps, the nearest one
// counts, up to 6 % away.
func Codebooks(model codec.Info, kbps float64) (int, error) {
	if kbps == 0 {
		return model.Codebooks(), nil
	}
	best, away := 0, 0.5 // bit/s
	for _, size := range model.CodebookSizes {
		if size&(size-1) != 0 {
			away = 0.06 * kbps * 1000
		}
	}
	for i, b := range model.Bitrates {
		if d := math.Abs(b - float64(kbps*1000)); d < away {
			best, away = model.Levels[i], d
		}
	}
	if best == 0 {
		return 0, fmt.Errorf("%v kbit/s: %s has no such step: give one of %s", kbps, model.Name, Steps(model))
	}
	return best, nil
}

// Steps lists the bitrates of a model in kbit/s.
func Steps(model codec.Info) string {
	s := ""
	for i, b := range model.Bitrates {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(b / 1000)
	}
	return s
}

// encodeLane is the path of one channel.
type encodeLane struct {
	resampler *audio.Resampler // nil where the rates are equal
	encoder   codec.Encoder
	pcm       []float32 // at the source's rate
	resampled []float32
	codes     []int32
}

// take copies a channel, or the mean of all, out of interleaved sound.
func (l *encodeLane) take(interleaved []float32, channels, channel int, mono bool) {
	l.pcm = l.pcm[:0]
	if mono {
		l.pcm = audio.Mono(l.pcm, interleaved, channels)
		return
	}
	for i := channel; i < len(interleaved); i += channels {
		l.pcm = append(l.pcm, interleaved[i])
	}
}

// encode gives the codes that the samples taken complete; the slice holds until
// the next call.
func (l *encodeLane) encode(end bool) ([]int32, error) {
	pcm := l.pcm
	if l.resampler != nil {
		l.resampled = l.resampler.Process(l.resampled[:0], pcm)
		if end {
			l.resampled = l.resampler.Flush(l.resampled)
		}
		pcm = l.resampled
	}
	codes, err := l.encoder.Encode(l.codes[:0], pcm)
	if err == nil && end {
		codes, err = l.encoder.Flush(codes)
	}
	l.codes = codes
	return codes, err
}

// countingWriter counts the bytes that it hands on.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
