package main

import (
	"bytes"
	"io"
	"math"

	"github.com/sotto-audio/sotto/internal/audio"
)

// What a clip must be to be trained on.
const (
	sampleRate  = 16000  // Hz, of what is written
	minSeconds  = 0.4    // shorter clips are cut words
	fullScale   = 0.999  // a sample at or above this counts as clipped
	maxClipped  = 0.001  // share of clipped frames above which a clip is dropped
	minLoudness = 0.0018 // root mean square, -55 dB of full scale
)

// decode gives the samples of one clip, mono at sampleRate, or why it is not to
// be used: "broken", "short", "clipped" or "silent".
func decode(blob []byte, name string) (x []float32, why string) {
	r, err := audio.NewReader(bytes.NewReader(blob), name)
	if err != nil {
		return nil, "broken"
	}
	defer r.Close()
	f := r.Format()
	clipped, buf := 0, make([]float32, 4096*f.Channels)
	for {
		n, err := r.Read(buf)
		for i := 0; i+f.Channels <= n; i += f.Channels {
			for _, v := range buf[i : i+f.Channels] {
				if v >= fullScale || v <= -fullScale {
					clipped++
					break
				}
			}
		}
		x = audio.Mono(x, buf[:n], f.Channels)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, "broken"
		}
	}
	if why := judge(x, f.SampleRate, clipped); why != "" {
		return nil, why
	}
	if f.SampleRate != sampleRate {
		rs := audio.NewResampler(f.SampleRate, sampleRate, 1)
		x = rs.Flush(rs.Process(nil, x))
	}
	limit(x)
	return x, ""
}

// judge says why mono samples x at rate, with clipped clipped frames, are not
// to be used; "" if they are.
func judge(x []float32, rate, clipped int) string {
	if float64(len(x)) < minSeconds*float64(rate) {
		return "short"
	}
	if float64(clipped) > maxClipped*float64(len(x)) {
		return "clipped"
	}
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	if math.Sqrt(sum/float64(len(x))) < minLoudness {
		return "silent"
	}
	return ""
}

// limit scales x down where resampling took it above full scale.
func limit(x []float32) {
	var peak float32
	for _, v := range x {
		peak = max(peak, v, -v)
	}
	if peak > fullScale {
		for i := range x {
			x[i] *= fullScale / peak
		}
	}
}
