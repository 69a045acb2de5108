// Package audio reads and writes audio files and pipes and converts sample
// rates. Everything streams in constant memory: a three-hour file costs as much
// memory as a three-second one.
//
// Samples are float32 in [-1, 1], interleaved: frame 0 channel 0..C-1, then
// frame 1. An integer sample of b bits is read as x / 2^(b-1), so integers of
// up to 24 bits are exact and come back exactly when written at the same depth.
package audio

import (
	"errors"
	"fmt"
	"io"
)

// Limits of what is taken for audio. Headers that ask for more are refused
// before anything is allocated.
const (
	MaxChannels   = 64
	MaxSampleRate = 768000
)

// Format describes a stream of samples.
type Format struct {
	SampleRate int    // frames per second, 1 to MaxSampleRate
	Channels   int    // 1 to MaxChannels
	Bits       int    // bits of a stored sample; 0 where the coding is lossy
	Float      bool   // stored samples are IEEE floats
	Kind       string // "wav", "flac", "mp3", "vorbis", "opus" or "pcm"
}

// validate refuses rates and channel counts outside of the limits.
func (f Format) validate() error {
	if f.SampleRate < 1 || f.SampleRate > MaxSampleRate {
		return fmt.Errorf("sample rate %d Hz is outside of 1 to %d", f.SampleRate, MaxSampleRate)
	}
	if f.Channels < 1 || f.Channels > MaxChannels {
		return fmt.Errorf("%d channels are outside of 1 to %d", f.Channels, MaxChannels)
	}
	return nil
}

// Reader gives the samples of one file or pipe. It is not safe for concurrent
// use.
type Reader interface {
	// Format describes the source.
	Format() Format
	// Frames is the number of frames that the source declares, -1 when it does
	// not say (a pipe, an MP3 file without an encoder tag). A damaged source may
	// end early.
	Frames() int64
	// Read fills dst with interleaved samples. n is a multiple of the number of
	// channels and is above 0 unless err is set; at the end it returns 0, io.EOF.
	// A damaged source gives all that is whole first and its error next.
	Read(dst []float32) (n int, err error)
	// Close releases the source; it closes the file that Open opened, never the
	// reader given to NewReader.
	Close() error
}

// Writer takes interleaved samples. Values outside of [-1, 1] are clipped by
// integer formats.
type Writer interface {
	// Write takes whole frames.
	Write(interleaved []float32) error
	// Close completes the stream. It does not close the underlying writer.
	Close() error
}

var errShortBuffer = errors.New("audio: read buffer holds less than one frame")

// ReadAll reads r to its end into one slice per channel.
func ReadAll(r Reader) ([][]float32, error) {
	ch := r.Format().Channels
	out := make([][]float32, ch)
	buf := make([]float32, 4096*ch)
	for {
		n, err := r.Read(buf)
		for c := range out {
			for i := c; i < n; i += ch {
				out[c] = append(out[c], buf[i])
			}
		}
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

// ReadFile reads a whole file into one slice per channel, at its own rate.
func ReadFile(path string) ([][]float32, Format, error) {
	r, err := Open(path)
	if err != nil {
		return nil, Format{}, err
	}
	defer r.Close()
	x, err := ReadAll(r)
	return x, r.Format(), err
}

// ReadMono reads a whole file as the mean of its channels, brought to rate.
func ReadMono(path string, rate int) ([]float32, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f := r.Format()
	var mono []float32
	block := make([]float32, 4096*f.Channels)
	for {
		n, err := r.Read(block)
		mono = Mono(mono, block[:n], f.Channels)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if f.SampleRate == rate {
		return mono, nil
	}
	s := NewResampler(f.SampleRate, rate, 1)
	return s.Flush(s.Process(nil, mono)), nil
}

// Mono appends to dst the mean over channels of each frame of interleaved.
// Channels are summed in order, in float32.
func Mono(dst, interleaved []float32, channels int) []float32 {
	if channels == 1 {
		return append(dst, interleaved...)
	}
	scale := 1 / float32(channels)
	for i := 0; i+channels <= len(interleaved); i += channels {
		var s float32
		for _, v := range interleaved[i : i+channels] {
			s += v
		}
		dst = append(dst, float32(s*scale))
	}
	return dst
}
