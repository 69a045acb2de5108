package sotto

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/native"
)

// released is the model that ships: its card is weights/README.md.
//
//go:embed weights/sotto-16k-v2.safetensors
var released []byte

// EntropyPath is where the entropy coder of a weights file lies: beside it, with
// "-entropy" before the suffix.
func EntropyPath(weights string) string {
	suffix := filepath.Ext(weights)
	return strings.TrimSuffix(weights, suffix) + "-entropy" + suffix
}

// entropy codes the tokens of the released model.
//
//go:embed weights/sotto-16k-v2-entropy.safetensors
var entropy []byte

// releasedSE has codebooks by structural entropy for the same encoder, and a decoder
// for them; it shares other weights with the released model.
//
//go:embed weights/sotto-16k-v2-se.safetensors
var releasedSE []byte

func init() {
	codec.RegisterEntropy(func() (*codec.Entropy, error) { return codec.LoadEntropy(entropy) })
	codec.Register(native.Family, func(path string) (codec.Codec, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		m, err := Load(data)
		if err != nil {
			return nil, err
		}
		return m, registerEntropy(EntropyPath(path), m)
	})
}

// registerEntropy registers the entropy coder of a model that was read from a
// file, where there is one beside it.
func registerEntropy(path string, m *Model) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	e, err := codec.LoadEntropy(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if e.Weights() != m.info.Fingerprint {
		return fmt.Errorf("%s: is for weights %s, those beside it are %s: train it again with sotto-train entropy", path, e.Weights(), m.info.Fingerprint)
	}
	codec.RegisterEntropy(func() (*codec.Entropy, error) { return e, nil })
	return nil
}

// Option changes how a model runs.
type Option func(*options)

type options struct {
	threads   int
	precision Precision
}

// WithThreads bounds the threads that one call may use; the default is the
// number of processors. Results do not depend on it.
func WithThreads(n int) Option { return func(o *options) { o.threads = n } }

// WithPrecision chooses the arithmetic of the decoder; the default is Float32.
func WithPrecision(p Precision) Option { return func(o *options) { o.precision = p } }

// Default loads the model that is part of this package.
func Default(opts ...Option) (*Model, error) { return Load(released, opts...) }

// StructuralEntropy loads the model of this package whose codebooks are clusters of
// structural entropy (package rvq/se), so that their sizes came out of the data.
// Encoder and latents are those of Default.
func StructuralEntropy(opts ...Option) (*Model, error) { return Load(releasedSE, opts...) }

// Released gives the weights file that is part of this package; it is not to be
// changed.
func Released() []byte { return released }

// Load makes a codec of the bytes of a weights file of this family.
func Load(data []byte, opts ...Option) (*Model, error) {
	o := options{threads: runtime.GOMAXPROCS(0), precision: Float32}
	for _, f := range opts {
		f(&o)
	}
	if o.threads < 1 {
		return nil, fmt.Errorf("sotto: %d threads asked for: at least 1 is needed", o.threads)
	}
	checkpoint, fingerprint, err := native.Unmarshal(data, released)
	if err != nil {
		return nil, err
	}
	m := newModel(checkpoint, fingerprint, cpu.New(o.threads))
	m.threads = o.threads
	return m.In(o.precision)
}
