// Package codec turns speech into discrete tokens and back.
//
// A Codec is a trained neural model: its Encoder takes PCM samples and gives
// token frames, its Decoder takes token frames and gives PCM. Both stream: any
// split of the input gives the same output, bit for bit. Families of models
// live in sub-packages (codec/sotto is the native one) and register themselves
// on import, as image formats do.
package codec

import (
	"context"
	"fmt"
	"time"
)

// Streaming says how a model behaves on input that arrives piece by piece.
type Streaming string

const (
	// StreamingExact models give the same bits for every chunking.
	StreamingExact Streaming = "exact"
	// StreamingWindowed models run on overlapping windows of long input.
	StreamingWindowed Streaming = "windowed"
	// StreamingNone models need the whole utterance.
	StreamingNone Streaming = "none"
)

// Info describes a loaded model.
type Info struct {
	Name          string        // version name, such as "sotto-16k-v2"
	Family        string        // registered family, such as "sotto"
	SampleRate    int           // Hz
	HopLength     int           // samples per token frame
	FrameRate     float64       // token frames per second
	CodebookSizes []int         // entries of each codebook, in the order of Tokens
	Levels        []int         // codebooks in use at each bitrate step: Levels[i] codebooks at Bitrates[i]
	Bitrates      []float64     // bits per second at each step, without entropy coding
	Streaming     Streaming     // exact, windowed or none
	Latency       time.Duration // algorithmic latency, computed from the layers
	Parameters    int           // trained values
	Fingerprint   Fingerprint   // of the weights
}

// Codebooks is the number of codebooks at the highest bitrate.
func (i Info) Codebooks() int { return len(i.CodebookSizes) }

// Tokens holds the codes of one channel, frame-major [Frames][Codebooks]:
// frame 0 codebook 0..Q-1, then frame 1.
type Tokens struct {
	Codes     []int32
	Frames    int
	Codebooks int
}

// Validate reports tokens whose fields contradict each other.
func (t *Tokens) Validate() error {
	if t.Codebooks < 1 || t.Frames != len(t.Codes)/t.Codebooks || len(t.Codes)%t.Codebooks != 0 {
		return fmt.Errorf("codec: tokens of %d frames and %d codebooks hold %d codes", t.Frames, t.Codebooks, len(t.Codes))
	}
	return nil
}

// Frame returns the codes of frame i, one a codebook; it shares their memory.
func (t *Tokens) Frame(i int) []int32 {
	return t.Codes[i*t.Codebooks : (i+1)*t.Codebooks]
}

// Encoder pushes samples in and pulls token frames out. It is not safe for
// concurrent use.
type Encoder interface {
	// Codebooks is the number of codes in each frame that Encode appends.
	Codebooks() int
	// Encode takes any number of mono samples in [-1, 1] at the model's rate and
	// appends the codes of every frame that they complete to dst.
	Encode(dst []int32, pcm []float32) ([]int32, error)
	// Flush ends the input: it appends the codes of the frames that still wait
	// for samples, as if silence followed. n samples give ceil(n/hop) frames.
	// Reset comes before more samples.
	Flush(dst []int32) ([]int32, error)
	// Reset makes the encoder ready for a new signal.
	Reset()
}

// Decoder pushes token frames in and pulls samples out. It is not safe for
// concurrent use.
type Decoder interface {
	// Decode takes whole frames (len(codes) a multiple of the number of
	// codebooks given to NewDecoder) and appends the samples that they settle. A
	// part of a frame and a code outside its codebook are errors.
	Decode(dst []float32, codes []int32) ([]float32, error)
	// Conceal stands in for n lost frames.
	Conceal(dst []float32, n int) ([]float32, error)
	// Flush ends the input: it appends the samples still held back, so that F
	// frames give F*hop samples in all. Reset comes before more frames.
	Flush(dst []float32) ([]float32, error)
	// Reset makes the decoder ready for a new signal.
	Reset()
}

// Codec is a loaded model. It is safe for concurrent use; the encoders and
// decoders that it makes are not.
type Codec interface {
	// Info describes the model; the caller may keep and change it.
	Info() Info
	// NewEncoder makes a streaming encoder that emits the first codebooks of
	// each frame (0 means all; must be one of Info.Levels).
	NewEncoder(codebooks int) (Encoder, error)
	// NewDecoder makes a streaming decoder for frames of that many codebooks.
	NewDecoder(codebooks int) (Decoder, error)
	// Encode encodes one mono signal in [-1, 1] at the model's sample rate, with
	// codebooks as for NewEncoder: n samples give ceil(n/HopLength) frames. A
	// cancelled ctx ends it early with ctx's error.
	Encode(ctx context.Context, pcm []float32, codebooks int) (*Tokens, error)
	// Decode gives Frames*HopLength samples. Tokens that contradict themselves or
	// hold a code outside its codebook are an error, as is a cancelled ctx.
	Decode(ctx context.Context, tokens *Tokens) ([]float32, error)
}
