// Package vocos runs Vocos (Siuzdak 2024), a vocoder: the model for log-mel spectra
// and the one that decodes the tokens of EnCodec at 24 kHz, from the checkpoints of
// its makers.
//
// Importing it makes codec.Load know such files.
package vocos

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/published/vocos"
)

// Family is the name of this family of models.
const Family = "vocos"

// tokensOf is the model of which one kind decodes the tokens, and its rate in Hz.
const (
	tokensOf   = "encodec-24khz"
	tokensRate = 24000
)

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

// config is the original's YAML; that of a training run has it inside.
type config struct {
	parts
	Model struct {
		Args parts `json:"init_args"`
	} `json:"model"`
}

type parts struct {
	Features class `json:"feature_extractor"`
	Backbone class `json:"backbone"`
	Head     class `json:"head"`
}

type class struct {
	Path string `json:"class_path"`
	Args struct {
		SampleRate int       `json:"sample_rate"`
		Size       int       `json:"n_fft"`
		Hop        int       `json:"hop_length"`
		Bands      int       `json:"n_mels"`
		Padding    string    `json:"padding"`
		EnCodec    string    `json:"encodec_model"`
		Bandwidths []float64 `json:"bandwidths"` // kbit/s
	} `json:"init_args"`
}

// name is that of the class, without its package.
func (c class) name() string { return c.Path[strings.LastIndexByte(c.Path, '.')+1:] }

// padding reads the argument of that name.
func (c class) padding(file *published.Checkpoint, standard vocos.Padding) vocos.Padding {
	switch p := vocos.Padding(c.Args.Padding); p {
	case "":
		return standard
	case vocos.Same, vocos.Center:
		return p
	default:
		file.Fail(fmt.Errorf("its configuration: padding %q of %s is not known", p, c.name()))
		return standard
	}
}

// Names of arrays.
const (
	filters   = "feature_extractor.mel_spec.mel_scale.fb"
	codebooks = "feature_extractor.codebook_weights"
)

// prefix is what stands before the names, of a training run's checkpoint too.
func prefix(c *published.Checkpoint) (string, bool) {
	for _, p := range []string{"", "state_dict."} {
		if c.HasWeight(p+"backbone.embed") && c.HasWeight(p+"head.out") && (c.Has(p+filters) || c.Has(p+codebooks)) {
			return p, true
		}
	}
	return "", false
}

func detect(c *published.Checkpoint) bool {
	_, ok := prefix(c)
	return ok
}

func build(c *published.Checkpoint) (*published.Model, error) {
	c.Prefix, _ = prefix(c)
	var cfg config
	has, err := c.Config(&cfg)
	if err != nil {
		return nil, err
	}
	if !has {
		return nil, errors.New("this family needs its config.yaml beside it")
	}
	if cfg.Head.Path == "" {
		cfg.parts = cfg.Model.Args
	}
	if name := cfg.Backbone.name(); name != "VocosBackbone" {
		return nil, fmt.Errorf("its configuration: the backbone %q is not known", name)
	}
	if name := cfg.Head.name(); name != "ISTFTHead" {
		return nil, fmt.Errorf("its configuration: the head %q is not known", name)
	}
	// What training alone needs: EnCodec, discriminators and the filters of the loss;
	// windows are Hann's.
	c.Ignore("feature_extractor.encodec.", "multiperioddisc.", "multiresddisc.", "melspec_loss.", "spectrogram.window", "head.istft.window")
	hop := cfg.Head.Args.Hop
	c.Within("hop_length", hop, 1, 1<<14)
	if !c.Sound() {
		return nil, nil
	}
	chains, dim := vocos.Backbones(c, "backbone")
	head := vocos.Head(c, "head.out", dim, hop, cfg.Head.padding(c, vocos.Same))
	if !c.Sound() {
		return nil, nil
	}
	decoders := make([]nn.Layer, len(chains))
	for i, chain := range chains {
		decoders[i] = append(chain, head)
	}
	m := &published.Model{Hop: hop, Encoder: nn.Chain{}, Decoder: all(decoders)}
	switch name := cfg.Features.name(); name {
	case "MelSpectrogramFeatures":
		err = mel(c, m, cfg.Features)
	case "EncodecFeatures":
		err = encodec(c, m, cfg.Features)
	default:
		err = fmt.Errorf("its configuration: the features %q are not known", name)
	}
	if err != nil {
		return nil, err
	}
	if want := m.Levels; len(want) != len(decoders) && (want != nil || len(decoders) != 1) {
		return nil, fmt.Errorf("its configuration: %d bandwidths for norms of %d conditions", len(want), len(decoders))
	}
	if in, want := c.WeightShape("backbone.embed")[1], featureSize(m); in != want {
		return nil, fmt.Errorf("its backbone takes %d features, of which there are %d", in, want)
	}
	m.Wrap = func(net *published.Codec) codec.Codec { return &Model{net: net, decoders: decoders} }
	return m, nil
}

// mel completes the model for log-mel spectra.
func mel(c *published.Checkpoint, m *published.Model, features class) error {
	a := features.Args
	for _, d := range []struct {
		value    *int
		standard int
	}{{&a.SampleRate, 24000}, {&a.Size, 1024}, {&a.Hop, 256}, {&a.Bands, 100}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	c.Within("sample_rate", a.SampleRate, 1000, 192000)
	c.Within("hop_length of the features", a.Hop, m.Hop, m.Hop)
	m.Name, m.SampleRate = fmt.Sprintf("vocos-mel-%dkhz", a.SampleRate/1000), a.SampleRate
	m.Quantizer = noTokens{bands: a.Bands}
	if l := vocos.LogMel(c, filters, a.Size, a.Hop, a.Bands, features.padding(c, vocos.Center)); l != nil {
		m.Encoder = l
	}
	return nil
}

// encodec completes the model for the tokens of EnCodec.
func encodec(c *published.Checkpoint, m *published.Model, features class) error {
	if e := features.Args.EnCodec; e != "" && e != "encodec_24khz" {
		return fmt.Errorf("its configuration: features of %q: those of encodec_24khz are known", e)
	}
	m.Name, m.SampleRate = "vocos-encodec-24khz", tokensRate
	bandwidths := features.Args.Bandwidths
	if bandwidths == nil {
		bandwidths = []float64{1.5, 3, 6, 12}
	}
	shape := c.Shape(codebooks)
	if len(shape) != 2 {
		return fmt.Errorf("%s is no matrix", codebooks)
	}
	size := 0
	for bits := 1; bits <= 16 && size == 0; bits++ {
		if n := books(slices.Max(append(bandwidths, 0)), bits, m); n > 0 && n<<bits == shape[0] {
			size = 1 << bits
			for _, b := range bandwidths {
				m.Levels = append(m.Levels, books(b, bits, m))
			}
		}
	}
	if size == 0 || !slices.IsSorted(m.Levels) || m.Levels[0] < 1 {
		return fmt.Errorf("its configuration: bandwidths of %v kbit/s and a codebook matrix of %v do not fit", bandwidths, shape)
	}
	entries := c.Get(codebooks, shape[0], shape[1])
	if entries == nil {
		return nil
	}
	q := &published.Residual{}
	for i := range shape[0] / size {
		q.Levels = append(q.Levels, published.Level{Book: &nn.Codebook{Size: size, Dim: shape[1], Entries: &nn.Param{
			Name: fmt.Sprintf("%s[%d]", codebooks, i), Shape: []int{size, shape[1]}, Data: entries[i*size*shape[1] : (i+1)*size*shape[1]],
		}}})
	}
	m.Quantizer = q
	return nil
}

// books is the number of codebooks of that many bits that EnCodec uses at a
// bandwidth in kbit/s.
func books(bandwidth float64, bits int, m *published.Model) int {
	rate := math.Ceil(tokensRate / float64(m.Hop))
	return int(min(math.Floor(bandwidth*1000/(float64(bits)*rate)), 64))
}

// featureSize is the number of values of a frame of features.
func featureSize(m *published.Model) int {
	switch q := m.Quantizer.(type) {
	case noTokens:
		return q.bands
	case *published.Residual:
		return q.Levels[0].Book.Dim
	}
	return 0
}

// noTokens is the quantizer of a model that has none.
type noTokens struct{ bands int }

func (noTokens) Params() []*nn.Param { return nil }
func (noTokens) Sizes() []int        { return nil }

// Step, Encode and Decode are not reached: Model refuses tokens.
func (noTokens) Step(*nn.Stream, *backend.Tensor) *backend.Tensor { panic("vocos: no tokens") }

func (noTokens) Encode(*nn.Stream, *backend.Tensor, int) []int32 { panic("vocos: no tokens") }

func (noTokens) Decode(*nn.Stream, []int32, int) *backend.Tensor { panic("vocos: no tokens") }

// all are the decoders of all conditions, which share most layers: each counts once.
type all []nn.Layer

// Params lists those of the layers, in their order.
func (a all) Params() []*nn.Param {
	var params []*nn.Param
	seen := map[*nn.Param]bool{}
	for _, l := range a {
		for _, p := range l.Params() {
			if !seen[p] {
				seen[p] = true
				params = append(params, p)
			}
		}
	}
	return params
}

// Reach is that of each.
func (a all) Reach() nn.Reach { return nn.ReachOf(a[0]) }

// Step is that of the last condition, which is EnCodec's highest bandwidth.
func (a all) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor { return a[len(a)-1].Step(s, x) }

// Model is a loaded Vocos. The one for EnCodec's tokens is a codec.Codec that only
// decodes; the one for log-mel spectra has no tokens: see NewAnalysis and
// NewSynthesis.
type Model struct {
	net      *published.Codec
	decoders []nn.Layer // one a condition
	tokens   *codec.Fingerprint
}

var _ codec.Codec = (*Model)(nil)

// Load opens a checkpoint of this family.
func Load(path string) (*Model, error) {
	c, err := codec.Load(path)
	if err != nil {
		return nil, err
	}
	m, ok := c.(*Model)
	if !ok {
		return nil, fmt.Errorf("vocos: %s: is %s, no vocoder", path, c.Info().Name)
	}
	return m, nil
}

// Bands is the number of values in a log-mel frame, 0 where the model decodes
// EnCodec's tokens.
func (m *Model) Bands() int {
	if q, ok := m.net.Quantizer.(noTokens); ok {
		return q.bands
	}
	return 0
}

// Info describes the model. One for log-mel spectra has no codebooks; its frames
// are those of the spectra.
func (m *Model) Info() codec.Info {
	i := m.net.Info()
	if m.tokens != nil {
		i.Fingerprint = *m.tokens
	}
	return i
}

// DecoderOf is the model as a decoder of a stream of tokens, which EnCodec made: its
// Info has the fingerprint of EnCodec's weights. The codebooks of Vocos are its own;
// that the tokens come from the EnCodec that it was trained on is not checked.
func (m *Model) DecoderOf(h codec.Header) (codec.Codec, error) {
	if err := m.decodes(); err != nil {
		return nil, err
	}
	if h.Model != tokensOf {
		return nil, fmt.Errorf("vocos: tokens of %s: %s decodes those of %s", h.Model, m.net.Name, tokensOf)
	}
	if _, err := m.decoder(len(h.CodebookSizes)); err != nil {
		return nil, err
	}
	of := *m
	of.tokens = &h.Fingerprint
	return &of, nil
}

// decodes refuses models without tokens.
func (m *Model) decodes() error {
	if m.Bands() > 0 {
		return fmt.Errorf("vocos: %s is a vocoder for log-mel spectra and has no tokens: run it with sotto vocode", m.net.Name)
	}
	return nil
}

// encodes refuses to encode.
func (m *Model) encodes() error {
	if err := m.decodes(); err != nil {
		return err
	}
	return fmt.Errorf("vocos: %s decodes only: encode with %s, decode its tokens with --vocoder", m.net.Name, tokensOf)
}

// decoder is the network for that many codebooks, 0 for all.
func (m *Model) decoder(codebooks int) (*published.Codec, error) {
	if err := m.decodes(); err != nil {
		return nil, err
	}
	n, err := m.net.Width(codebooks)
	if err != nil {
		return nil, err
	}
	if len(m.decoders) == 1 {
		return m.net, nil
	}
	return m.net.WithDecoder(m.decoders[slices.Index(m.net.Levels, n)]), nil
}

// NewEncoder is an error: the model only decodes.
func (m *Model) NewEncoder(int) (codec.Encoder, error) { return nil, m.encodes() }

// Encode is an error: the model only decodes.
func (m *Model) Encode(context.Context, []float32, int) (*codec.Tokens, error) {
	return nil, m.encodes()
}

// NewDecoder makes a streaming decoder of EnCodec's tokens. The norms of the
// published model know four bandwidths: 2, 4, 8 and 16 codebooks.
func (m *Model) NewDecoder(codebooks int) (codec.Decoder, error) {
	net, err := m.decoder(codebooks)
	if err != nil {
		return nil, err
	}
	return net.NewDecoder(codebooks)
}

// Decode gives tokens.Frames·HopLength samples of EnCodec's tokens.
func (m *Model) Decode(ctx context.Context, tokens *codec.Tokens) ([]float32, error) {
	net, err := m.decoder(tokens.Codebooks)
	if err != nil {
		return nil, err
	}
	return net.Decode(ctx, tokens)
}
