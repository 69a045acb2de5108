// Package asr turns speech into text while it is being spoken.
//
// A Recognizer is a trained model. Its Stream takes samples as they arrive and
// gives words: committed ones, which never change again, and tentative ones, the
// present guess at what follows them. Any split of the input gives the same
// words, times and confidences. Families of models live in sub-packages
// (asr/sotto is the native one) and register themselves on import.
package asr

import (
	"time"

	"github.com/sotto-audio/sotto/codec"
)

// Word is a recognised word.
type Word struct {
	Text       string        // as it is written, without surrounding space
	Start, End time.Duration // in the stream
	Confidence float64       // 0 to 1
	// Emitted is the length of the input that had arrived, by the model's own
	// chunks, when the word was committed: Emitted − End is its latency without
	// the time of computing. It is zero in a tentative word.
	Emitted time.Duration
}

// Update is what a step of a stream changes.
type Update struct {
	// Committed words follow all that were committed before; they never change.
	Committed []Word
	// Tentative words replace those of the update before.
	Tentative []Word
	// Endpoint says that a pause ended the utterance: the words committed so far
	// are whole, and none are tentative.
	Endpoint bool
}

// Info describes a loaded recogniser.
type Info struct {
	Name        string          // version name, such as "sotto-asr-en-v1"
	Family      string          // registered family, such as "sotto"
	SampleRate  int             // Hz of the samples that a stream takes
	Languages   []string        // ISO 639-1 codes, the default first
	Chunks      []time.Duration // chunks to choose from, the default first
	Parameters  int             // trained values
	Fingerprint codec.Fingerprint
	// Codec is the fingerprint of the codec whose token frames the model also
	// takes (see TokenStreamer); zero where it takes samples only.
	Codec codec.Fingerprint
}

// Options choose how a stream recognises. The zero value is the model's default.
type Options struct {
	// Chunk is one of Info.Chunks; 0 is the default.
	Chunk time.Duration
	// Offline waits for the whole input (Flush) before it decides, which is more
	// accurate; Chunk does not apply.
	Offline bool
	// Language is an ISO 639-1 code, or empty for the default of the model
	// (detection, where it has that).
	Language string
	// Translate asks for English text whatever the language.
	Translate bool
	// Beam is the number of hypotheses; 0 is the default, 1 is greedy.
	Beam int
	// LM is a language model file for models that can use one; empty for the one
	// that the model carries, if any, and "none" for none.
	LM string
}

// Recognizer is a loaded model. It is safe for concurrent use; its streams are
// not.
type Recognizer interface {
	// Info describes the model; the caller may keep and change it.
	Info() Info
	// Latency is the algorithmic latency of a stream with these options: chunk,
	// lookahead, summed over the layers, and the pause by which the end of a word is
	// known, where the model waits for one. Offline it is unbounded, given as 0.
	Latency(Options) (time.Duration, error)
	// NewStream starts a stream. Options that the model does not have are an
	// error.
	NewStream(Options) (Stream, error)
}

// Stream takes samples and gives words. Its memory is bounded, however long it
// runs, unless its options are Offline.
type Stream interface {
	// Push takes any number of mono samples in [-1, 1] at the model's rate.
	Push(pcm []float32) (Update, error)
	// Flush ends the input: all words are committed. Reset comes before more
	// samples.
	Flush() (Update, error)
	// Reset makes the stream ready for a new input.
	Reset()
}

// TokenStreamer is a recogniser that takes token frames of a codec without
// decoding them to samples.
type TokenStreamer interface {
	Recognizer
	// NewTokenStream starts a stream for frames of that many codebooks.
	NewTokenStream(codebooks int, o Options) (TokenStream, error)
}

// TokenStream is a Stream of token frames.
type TokenStream interface {
	// PushTokens takes whole frames, frame-major as in codec.Tokens.
	PushTokens(codes []int32) (Update, error)
	Flush() (Update, error)
	Reset()
}
