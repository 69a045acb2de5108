// Package sotto is the native recogniser: English speech to text while it is
// spoken, from the frames that the native codec makes its tokens of.
//
// Importing it registers the family, and Default gives the model whose weights
// are part of the package.
package sotto

import (
	_ "embed"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/asr"
	codecs "github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/ctc"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// released is the model that ships: its card is weights/README.md.
//
//go:embed weights/sotto-asr-en-v1.safetensors
var released []byte

func init() {
	asr.Register(recognizer.Family, func(path string) (asr.Recognizer, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return Load(data)
	})
}

// Option changes how a model runs.
type Option func(*options)

type options struct{ threads int }

// WithThreads bounds the threads that one call may use; the default is the
// number of processors. Results do not depend on it.
func WithThreads(n int) Option { return func(o *options) { o.threads = n } }

// Default loads the model that is part of this package.
func Default(opts ...Option) (*Model, error) { return Load(released, opts...) }

// Load makes a recogniser of the bytes of a weights file of this family. It reads
// the frames of the codec that package codec/sotto carries, and refuses weights
// that were trained on another's.
func Load(data []byte, opts ...Option) (*Model, error) {
	o := options{threads: runtime.GOMAXPROCS(0)}
	for _, f := range opts {
		f(&o)
	}
	if o.threads < 1 {
		return nil, fmt.Errorf("sotto: %d threads asked for: at least 1 is needed", o.threads)
	}
	checkpoint, fingerprint, err := recognizer.Unmarshal(data)
	if err != nil {
		return nil, err
	}
	codec, err := codecs.Default(codecs.WithThreads(o.threads))
	if err != nil {
		return nil, err
	}
	if have := codec.Info().Fingerprint; have != checkpoint.Codec {
		return nil, fmt.Errorf("sotto: recogniser %s reads the frames of a codec with fingerprint %s, this program's %s has %s: use the release of sotto that it came with",
			checkpoint.Name, checkpoint.Codec, codec.Info().Name, have)
	}
	if n := checkpoint.Network; n.Inputs != codec.LatentDim() || n.FrameRate != codec.Info().FrameRate {
		return nil, fmt.Errorf("sotto: recogniser %s reads frames of %d values at %g Hz, the codec has %d at %g",
			checkpoint.Name, n.Inputs, n.FrameRate, codec.LatentDim(), codec.Info().FrameRate)
	}
	m := &Model{codec: codec, network: checkpoint.Network, search: checkpoint.Search, device: cpu.New(o.threads), threads: o.threads}
	m.info = asr.Info{
		Name: checkpoint.Name, Family: recognizer.Family, SampleRate: codec.Info().SampleRate,
		Languages:  strings.Split(checkpoint.Search.Languages, ","),
		Parameters: checkpoint.Network.Parameters(), Fingerprint: fingerprint, Codec: checkpoint.Codec,
	}
	for _, frames := range chunks {
		m.info.Chunks = append(m.info.Chunks, m.duration(frames))
	}
	return m, nil
}

// chunks are the frames of the codec that a step takes, the default first; the
// network was trained with each.
var chunks = []int{4, 8, 16, 32, 48}

// offlineChunk is the number of frames that are seen together offline, at most.
const offlineChunk = 1024

// Model is a loaded recogniser. It implements asr.TokenStreamer.
type Model struct {
	info    asr.Info
	codec   *codecs.Model
	network *recognizer.Network
	search  recognizer.Search
	device  backend.Backend
	threads int

	languages languages
}

var _ asr.TokenStreamer = (*Model)(nil)

// Info describes the model.
func (m *Model) Info() asr.Info {
	i := m.info
	i.Languages, i.Chunks = slices.Clone(i.Languages), slices.Clone(i.Chunks)
	return i
}

// duration is that of frames of the codec.
func (m *Model) duration(frames int) time.Duration {
	return time.Duration(float64(frames) / m.network.FrameRate * float64(time.Second))
}

// frames gives the frames of a step.
func (m *Model) frames(o asr.Options) (int, error) {
	switch {
	case o.Offline:
		return offlineChunk, nil
	case o.Chunk == 0:
		return chunks[0], nil
	}
	if i := slices.Index(m.info.Chunks, o.Chunk); i >= 0 {
		return chunks[i], nil
	}
	return 0, fmt.Errorf("sotto: a chunk of %v asked for: this model has %v", o.Chunk, m.info.Chunks)
}

// Latency is the length of a chunk, the lookahead of the network, and the pause that
// ends a word; the codec's encoder looks nowhere ahead.
func (m *Model) Latency(o asr.Options) (time.Duration, error) {
	frames, err := m.frames(o)
	if err != nil || o.Offline {
		return 0, err
	}
	return m.duration(frames+m.network.Delay()) + ctc.DefaultGap, nil
}

// NewStream starts a stream of samples.
func (m *Model) NewStream(o asr.Options) (_ asr.Stream, err error) {
	defer backend.Recover(&err)
	s, err := m.stream(o)
	if err != nil {
		return nil, err
	}
	return &sampleStream{*s}, nil
}

// NewTokenStream starts a stream of frames of that many codebooks.
func (m *Model) NewTokenStream(codebooks int, o asr.Options) (_ asr.TokenStream, err error) {
	defer backend.Recover(&err)
	if !slices.Contains(m.codec.Info().Levels, codebooks) {
		return nil, fmt.Errorf("sotto: frames of %d codebooks: the codec has %v", codebooks, m.codec.Info().Levels)
	}
	s, err := m.stream(o)
	if err != nil {
		return nil, err
	}
	return &tokenStream{*s, codebooks}, nil
}

func (m *Model) stream(o asr.Options) (*stream, error) {
	frames, err := m.frames(o)
	if err != nil {
		return nil, err
	}
	if o.Language != "" && !slices.Contains(m.info.Languages, o.Language) {
		return nil, fmt.Errorf("sotto: language %q asked for: this model knows %s", o.Language, strings.Join(m.info.Languages, ", "))
	}
	if o.Translate {
		return nil, fmt.Errorf("sotto: this model does not translate")
	}
	decoder, err := m.decoder(o)
	if err != nil {
		return nil, err
	}
	s := &stream{model: m, latents: m.codec.NewLatentStream(), net: nn.NewStream(m.device, 1), decoder: decoder, chunk: frames}
	s.net.Chunk = frames
	s.Reset()
	return s, nil
}
