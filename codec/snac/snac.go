// Package snac runs SNAC, the multi-scale neural audio codec (Siuzdak et al. 2024),
// at 24, 32 and 44.1 kHz, from the checkpoints of its maker.
//
// Importing it makes codec.Load know such files.
package snac

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/published/descript"
)

// Family is the name of this family of models.
const Family = "snac"

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

// config is that of the original, config.json.
type config struct {
	SampleRate   int   `json:"sampling_rate"`
	EncoderDim   int   `json:"encoder_dim"`
	EncoderRates []int `json:"encoder_rates"`
	LatentDim    *int  `json:"latent_dim"`
	DecoderDim   int   `json:"decoder_dim"`
	DecoderRates []int `json:"decoder_rates"`
	Window       *int  `json:"attn_window_size"`
	CodebookSize int   `json:"codebook_size"`
	CodebookDim  int   `json:"codebook_dim"`
	Strides      []int `json:"vq_strides"`
	Noise        bool  `json:"noise"`
	Depthwise    bool  `json:"depthwise"`
}

func detect(c *published.Checkpoint) bool {
	var cfg config
	has, err := c.Config(&cfg)
	return has && err == nil && len(cfg.Strides) > 0 && c.HasWeight("quantizer.quantizers.0.in_proj")
}

func build(c *published.Checkpoint) (*published.Model, error) {
	cfg := config{
		SampleRate: 44100, EncoderDim: 64, EncoderRates: []int{3, 3, 7, 7}, DecoderDim: 1536, DecoderRates: []int{7, 7, 3, 3},
		CodebookSize: 4096, CodebookDim: 8, Strides: []int{8, 4, 2, 1}, Noise: true, Depthwise: true,
	}
	if _, err := c.Config(&cfg); err != nil {
		return nil, err
	}
	network := descript.Config{
		EncoderDim: cfg.EncoderDim, DecoderDim: cfg.DecoderDim, EncoderRates: cfg.EncoderRates, DecoderRates: cfg.DecoderRates,
		Depthwise: cfg.Depthwise, Noise: cfg.Noise, Names: descript.Original,
	}
	if cfg.Window != nil {
		network.Window = *cfg.Window
	}
	c.Within("encoder_dim", cfg.EncoderDim, 1, 1<<10)
	c.Within("number of encoder_rates", len(cfg.EncoderRates), 1, 8)
	if !c.Sound() {
		return nil, nil
	}
	// The encoder doubles its channels at each stride, and gives them as they are.
	network.LatentDim = cfg.EncoderDim << len(cfg.EncoderRates)
	if cfg.LatentDim != nil {
		c.Within("latent_dim", *cfg.LatentDim, network.LatentDim, network.LatentDim)
	}
	if !cfg.Depthwise {
		return nil, fmt.Errorf("its configuration: only depthwise networks were published")
	}
	network.Check(c)
	c.Within("sampling_rate", cfg.SampleRate, 1000, 192000)
	c.Within("codebook_size", cfg.CodebookSize, 2, 1<<16)
	c.Within("codebook_dim", cfg.CodebookDim, 1, 1<<10)
	c.Within("number of vq_strides", len(cfg.Strides), 1, 8)
	if !c.Sound() {
		return nil, nil
	}
	for i, stride := range cfg.Strides {
		c.Within("vq stride", stride, 1, 1<<10)
		if stride < 1 || cfg.Strides[0]%stride != 0 || i > 0 && stride > cfg.Strides[i-1] {
			return nil, fmt.Errorf("its configuration: vq_strides %v must divide the first and not grow", cfg.Strides)
		}
	}
	q := &multiscale{strides: cfg.Strides}
	for i := range cfg.Strides {
		name := fmt.Sprintf("quantizer.quantizers.%d", i)
		book := c.Codebook(name+".codebook.weight", cfg.CodebookSize, cfg.CodebookDim)
		book.Cosine = true
		q.levels = append(q.levels, published.Level{
			Book: book,
			In:   c.Linear(name+".in_proj", network.LatentDim, cfg.CodebookDim), Out: c.Linear(name+".out_proj", cfg.CodebookDim, network.LatentDim),
		})
	}
	hop, frame := network.Hop(), cfg.Strides[0]
	return &published.Model{
		Name:       fmt.Sprintf("snac-%dkhz", cfg.SampleRate/1000),
		SampleRate: cfg.SampleRate, Hop: hop * frame, FrameRows: frame, PadInput: hop * multiple(frame, max(network.Window, 1)), Levels: q.steps(),
		Encoder: descript.Encoder(c, network), Quantizer: q, Decoder: descript.Decoder(c, network),
	}, nil
}

// multiple is the least common multiple.
func multiple(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}
