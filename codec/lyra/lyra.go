// Package lyra runs Lyra v2, Google's published speech codec, on its own
// coefficients: a folder with soundstream_encoder.tflite, quantizer.tflite and
// lyragan.tflite. The encoder is SoundStream's (Zeghidour et al. 2021) at 16 kHz
// with frames of 20 ms, the quantizer a residual one of 46 codebooks of 16
// entries, of which 16, 30 or 46 are sent (3.2, 6 or 9.2 kbps).
//
// The networks are causal: streaming is exact. Parts of them work in int8, as
// the published files say.
package lyra

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/tflite"
	"github.com/sotto-audio/sotto/rvq"
)

// Family is the name of this family of models.
const Family = "lyra"

// The shape of Lyra v2.
const (
	sampleRate = 16000
	hop        = 320 // samples of a frame
	dim        = 64  // values of its features
	entries    = 16  // of a codebook
	codebooks  = 46
)

// levels are the codebooks in use at each bitrate.
var levels = []int{16, 30, 46}

// files are those of a folder of coefficients.
const (
	encoderFile   = "soundstream_encoder.tflite"
	quantizerFile = "quantizer.tflite"
	decoderFile   = "lyragan.tflite"
)

func init() {
	codec.RegisterFolder(encoderFile, func(path string) (codec.Codec, error) { return Load(path) })
}

// Model is a codec.Codec. It is safe for concurrent use.
type Model struct {
	info             codec.Info
	encoder, decoder network
	quantizer        *rvq.Quantizer
}

// network is a graph of one input and one output.
type network struct {
	*tflite.Program
	input, output int
}

// Load opens a folder of coefficients.
func Load(folder string) (*Model, error) {
	var data [3][]byte
	sum := sha256.New()
	for i, name := range []string{encoderFile, quantizerFile, decoderFile} {
		var err error
		if data[i], err = os.ReadFile(filepath.Join(folder, name)); err != nil {
			return nil, fmt.Errorf("lyra: %w", err)
		}
		sum.Write(data[i])
	}
	m := &Model{}
	parameters := 0
	for i, net := range []*network{0: &m.encoder, 2: &m.decoder} {
		if net == nil {
			continue
		}
		model, err := tflite.Parse(data[i])
		if err != nil {
			return nil, fmt.Errorf("lyra: %w", err)
		}
		if net.Program, err = tflite.Compile(model, 0); err != nil {
			return nil, fmt.Errorf("lyra: %w", err)
		}
		if len(net.Inputs) != 1 || len(net.Outputs) != 1 {
			return nil, errors.New("lyra: a network needs one input and one output")
		}
		net.input, net.output = net.Inputs[0], net.Outputs[0]
		for _, t := range net.Tensors {
			switch t.Type {
			case tflite.Float32:
				parameters += len(t.Data) / 4
			case tflite.Int8:
				parameters += len(t.Data)
			}
		}
	}
	if in, out := m.encoder.sizes(); in != hop || out != dim {
		return nil, fmt.Errorf("lyra: the encoder makes %d values of %d samples, not %d of %d", out, in, dim, hop)
	}
	if in, out := m.decoder.sizes(); in != dim || out != hop {
		return nil, fmt.Errorf("lyra: the decoder makes %d samples of %d values, not %d of %d", out, in, hop, dim)
	}
	books, err := readCodebooks(data[1])
	if err != nil {
		return nil, fmt.Errorf("lyra: %s: %w", quantizerFile, err)
	}
	q, err := rvq.New(rvq.Config{Dim: dim, Groups: 1, Levels: codebooks, Size: entries}, books)
	if err != nil {
		return nil, fmt.Errorf("lyra: %w", err)
	}
	m.quantizer = q.On(nil)
	m.info = codec.Info{
		Name: "lyra-v2", Family: Family, SampleRate: sampleRate, HopLength: hop, FrameRate: sampleRate / hop,
		CodebookSizes: slices.Repeat([]int{entries}, codebooks), Levels: levels, Streaming: codec.StreamingExact,
		Latency: hop * time.Second / sampleRate, Parameters: parameters + len(books),
		Fingerprint: codec.Fingerprint(sum.Sum(nil)[:len(codec.Fingerprint{})]),
	}
	for _, n := range levels {
		m.info.Bitrates = append(m.info.Bitrates, float64(4*n)*sampleRate/hop)
	}
	return m, nil
}

func (n *network) sizes() (in, out int) { return n.Tensors[n.input].Len(), n.Tensors[n.output].Len() }

// Info describes the model.
func (m *Model) Info() codec.Info {
	i := m.info
	i.CodebookSizes, i.Levels, i.Bitrates = slices.Clone(i.CodebookSizes), slices.Clone(i.Levels), slices.Clone(i.Bitrates)
	return i
}

func check(n int) (int, error) {
	if n == 0 {
		n = codebooks
	}
	if !slices.Contains(levels, n) {
		return 0, fmt.Errorf("lyra: %d codebooks asked for: there are steps of %v", n, levels)
	}
	return n, nil
}

// NewEncoder makes a streaming encoder.
func (m *Model) NewEncoder(codebooks int) (codec.Encoder, error) {
	n, err := check(codebooks)
	if err != nil {
		return nil, err
	}
	return &encoder{session: m.encoder.New(), network: m.encoder, quantizer: m.quantizer.Fork(), width: n}, nil
}

// NewDecoder makes a streaming decoder.
func (m *Model) NewDecoder(codebooks int) (codec.Decoder, error) {
	n, err := check(codebooks)
	if err != nil {
		return nil, err
	}
	return &decoder{session: m.decoder.New(), network: m.decoder, quantizer: m.quantizer.Fork(), width: n}, nil
}

// Encode encodes one signal. n samples give ceil(n/320) frames.
func (m *Model) Encode(ctx context.Context, pcm []float32, codebooks int) (*codec.Tokens, error) {
	e, err := m.NewEncoder(codebooks)
	if err != nil {
		return nil, err
	}
	t := &codec.Tokens{Codebooks: e.Codebooks()}
	for len(pcm) > 0 && err == nil {
		n := min(block*hop, len(pcm))
		if err = ctx.Err(); err == nil {
			t.Codes, err = e.Encode(t.Codes, pcm[:n])
		}
		pcm = pcm[n:]
	}
	if err == nil {
		t.Codes, err = e.Flush(t.Codes)
	}
	t.Frames = len(t.Codes) / t.Codebooks
	return t, err
}

// block is the number of frames between looks at the context.
const block = 50

// Decode gives tokens.Frames·320 samples.
func (m *Model) Decode(ctx context.Context, tokens *codec.Tokens) ([]float32, error) {
	if err := tokens.Validate(); err != nil {
		return nil, err
	}
	d, err := m.NewDecoder(tokens.Codebooks)
	if err != nil {
		return nil, err
	}
	var out []float32
	for codes := tokens.Codes; len(codes) > 0; {
		n := min(block*tokens.Codebooks, len(codes))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if out, err = d.Decode(out, codes[:n]); err != nil {
			return nil, err
		}
		codes = codes[n:]
	}
	return d.Flush(out)
}

var _ codec.Codec = (*Model)(nil)
