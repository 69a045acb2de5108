// Package academicodec runs the EnCodec and SoundStream models of AcademiCodec
// (Yang et al. 2023): EnCodec's network without its causality, with latents of 512
// values, at 16 kHz with frames of 320 samples and at 24 kHz with 240 or 32. The two
// differ in how they were trained, not in what runs.
//
// They look ahead, but not without bound, so they stream exactly. Importing the
// package makes codec.Load know the checkpoints, which come without configuration.
package academicodec

import (
	"fmt"
	"strings"

	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/published/seanet"
)

// Family is the name of this family of models.
const Family = "academicodec"

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

// dim is the dimension of the latents, by which these models are known.
const dim = 512

const book = "quantizer.vq.layers.%d._codebook.embed"

// prefix finds the generator: a training state has it beside the discriminators, and
// training on several processes, as that of the published files, puts "module."
// before every name.
func prefix(c *published.Checkpoint) string {
	for _, p := range []string{"module.", "soundstream.", "soundstream.module."} {
		if c.HasWeight(p + "encoder.model.0.conv.conv") {
			return p
		}
	}
	return ""
}

func detect(c *published.Checkpoint) bool {
	defer func(before string) { c.Prefix = before }(c.Prefix)
	c.Prefix = prefix(c)
	entries := c.Shape(fmt.Sprintf(book, 0))
	return c.HasWeight("encoder.model.0.conv.conv") && len(entries) == 2 && entries[1] == dim
}

func build(c *published.Checkpoint) (*published.Model, error) {
	c.Prefix = prefix(c)
	network := seanet.Default()
	network.Causal = false
	seanet.Infer(c, &network)
	if !network.Check(c) {
		return nil, nil
	}
	entries := c.Shape(fmt.Sprintf(book, 0))
	if len(entries) != 2 || entries[1] != network.Dimension {
		return nil, fmt.Errorf("%s has shape %v, expected entries of %d values", fmt.Sprintf(book, 0), entries, network.Dimension)
	}
	q := &published.Residual{}
	for c.Has(fmt.Sprintf(book, len(q.Levels))) && len(q.Levels) < 64 {
		q.Levels = append(q.Levels, published.Level{Book: c.Codebook(fmt.Sprintf(book, len(q.Levels)), entries[0], entries[1])})
	}
	c.Ignore(".inited", ".cluster_size", ".embed_avg")
	if strings.HasPrefix(c.Prefix, "soundstream.") { // a training state
		c.Ignore("stft_disc.", "mpd.", "msd.", "optimizer", "lr_scheduler")
	}
	// The rate is in no file: frames of 320 samples are the model of 16 kHz.
	rate := 24000
	if network.Hop() == 320 {
		rate = 16000
	}
	return &published.Model{
		Name: fmt.Sprintf("academicodec-%dk-%dd", rate/1000, network.Hop()), SampleRate: rate, Hop: network.Hop(),
		Encoder: seanet.Encoder(c, network), Quantizer: q, Decoder: seanet.Decoder(c, network),
	}, nil
}
