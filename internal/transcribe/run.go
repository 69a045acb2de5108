// Package transcribe runs recognisers over recordings and writes what they hear
// as text, subtitles or JSON.
package transcribe

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

// blockSeconds is how much is read and pushed at a time; results do not depend
// on it.
const blockSeconds = 0.1

// Samples pushes a recording through a stream that takes samples at rate, and
// gives its updates to got, the last with end set. Channel counts from 1; 0 mixes
// all. It gives the length of the recording.
func Samples(ctx context.Context, stream asr.Stream, rate int, src audio.Reader, channel int, got func(u asr.Update, end bool) error, progress func(frames int64)) (time.Duration, error) {
	f := src.Format()
	if channel > f.Channels {
		return 0, fmt.Errorf("channel %d of %d asked for", channel, f.Channels)
	}
	var rs *audio.Resampler
	if f.SampleRate != rate {
		rs = audio.NewResampler(f.SampleRate, rate, 1)
	}
	buf := make([]float32, f.Channels*max(1, int(blockSeconds*float64(f.SampleRate))))
	var mono, pcm []float32
	var frames int64
	push := func(pcm []float32) error {
		u, err := stream.Push(pcm)
		if err != nil {
			return err
		}
		return got(u, false)
	}
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := src.Read(buf)
		mono = pick(mono[:0], buf[:n], f.Channels, channel)
		frames += int64(len(mono))
		pcm = mono
		if rs != nil {
			pcm = rs.Process(pcm[:0:0], mono)
		}
		if len(pcm) > 0 {
			if err := push(pcm); err != nil {
				return 0, err
			}
		}
		progress(frames)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if rs != nil {
		if err := push(rs.Flush(nil)); err != nil {
			return 0, err
		}
	}
	u, err := stream.Flush()
	if err != nil {
		return 0, err
	}
	return time.Duration(float64(frames) / float64(f.SampleRate) * float64(time.Second)), got(u, true)
}

// pick appends one channel of interleaved samples, or the mean of all.
func pick(dst, interleaved []float32, channels, channel int) []float32 {
	if channel == 0 || channels == 1 {
		return audio.Mono(dst, interleaved, channels)
	}
	for i := channel - 1; i < len(interleaved); i += channels {
		dst = append(dst, interleaved[i])
	}
	return dst
}

// Tokens pushes the frames of one channel, counted from 1, of a .sotto file
// through a stream of frames, as Samples does. Frames that are lost are filled
// with the frame before.
func Tokens(ctx context.Context, stream asr.TokenStream, r *codec.Reader, channel int, got func(u asr.Update, end bool) error, progress func(frames int64)) (time.Duration, error) {
	h := r.Header()
	if channel < 1 || channel > h.Channels {
		return 0, fmt.Errorf("channel %d of %d asked for", channel, h.Channels)
	}
	last := make([]int32, len(h.CodebookSizes))
	var frames int64
	var fill []int32
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		for left := p.Frames; left > 0; {
			n := left
			codes := fill[:0]
			if p.Lost {
				n = min(left, codec.MaxPacketFrames)
				for range n {
					codes = append(codes, last...)
				}
				fill = codes
			} else {
				codes = p.Codes[channel-1]
				copy(last, codes[len(codes)-len(last):])
			}
			left -= n
			u, err := stream.PushTokens(codes)
			if err != nil {
				return 0, err
			}
			if err := got(u, false); err != nil {
				return 0, err
			}
			frames += int64(n)
			progress(frames)
			if err := ctx.Err(); err != nil {
				return 0, err
			}
		}
	}
	u, err := stream.Flush()
	if err != nil {
		return 0, err
	}
	length := time.Duration(float64(frames) * float64(h.HopLength) / float64(h.ModelRate) * float64(time.Second))
	if n := r.Samples(); n >= 0 {
		length = time.Duration(float64(n) / float64(h.SampleRate) * float64(time.Second))
	}
	return length, got(u, true)
}
