// Package speechtokenizer runs SpeechTokenizer (Zhang et al. 2024): eight residual
// codebooks of 1,024 entries at 50 frames a second of 16 kHz, the first of which was
// taught by HuBERT, from the checkpoints of its makers.
//
// Its encoder reads speech in both directions, so longer signals run in windows.
// Importing the package makes codec.Load know such files.
package speechtokenizer

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/published/seanet"
)

// Family is the name of this family of models.
const Family = "speechtokenizer"

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

// config is the part of the original's JSON that its arrays do not tell.
type config struct {
	SampleRate        int `json:"sample_rate"`
	DilationBase      int `json:"dilation_base"`
	SemanticDimension int `json:"semantic_dimension"`
}

const entries = "quantizer.vq.layers.%d._codebook.embed"

func detect(c *published.Checkpoint) bool {
	var cfg config
	if has, err := c.Config(&cfg); has && err == nil && cfg.SemanticDimension > 0 {
		return c.Has(fmt.Sprintf(entries, 0))
	}
	return c.Has("transform.weight") && c.Has(fmt.Sprintf(entries, 0))
}

func build(c *published.Checkpoint) (*published.Model, error) {
	cfg := config{SampleRate: 16000, DilationBase: 2}
	if _, err := c.Config(&cfg); err != nil {
		return nil, err
	}
	network := seanet.Default()
	network.Causal = false
	seanet.Infer(c, &network)
	network.DilationBase = cfg.DilationBase
	c.Within("sample_rate", cfg.SampleRate, 1000, 192000)
	if !network.Check(c) {
		return nil, nil
	}
	c.Ignore("transform.", ".inited", ".cluster_size", ".embed_avg") // of training
	q := &published.Residual{}
	for i := 0; c.Has(fmt.Sprintf(entries, i)); i++ {
		shape := c.Shape(fmt.Sprintf(entries, i))
		if len(shape) != 2 || shape[1] != network.Dimension {
			return nil, fmt.Errorf("%s has shape %v after latents of %d", fmt.Sprintf(entries, i), shape, network.Dimension)
		}
		q.Levels = append(q.Levels, published.Level{Book: c.Codebook(fmt.Sprintf(entries, i), shape[0], shape[1])})
	}
	return &published.Model{
		Name: "speechtokenizer", SampleRate: cfg.SampleRate, Hop: network.Hop(),
		Encoder: seanet.Encoder(c, network), Quantizer: q, Decoder: seanet.Decoder(c, network),
	}, nil
}
