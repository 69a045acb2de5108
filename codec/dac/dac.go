// Package dac runs the Descript Audio Codec (Kumar et al. 2023) at 16, 24 and
// 44.1 kHz, from the checkpoints of its makers and those of Hugging Face
// Transformers.
//
// Importing it makes codec.Load know such files.
package dac

import (
	"fmt"
	"strings"

	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/published/descript"
)

// Family is the name of this family of models.
const Family = "dac"

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

func detect(c *published.Checkpoint) bool {
	defer func(p string) { c.Prefix = p }(c.Prefix)
	c.Prefix = prefix(c)
	return c.HasWeight("quantizer.quantizers.0.in_proj") &&
		(c.HasWeight("encoder.conv1") || c.HasWeight("encoder.block.0") && c.Has("encoder.block.1.block.4.bias") && !c.HasWeight("decoder.model.1"))
}

// prefix stands before the names of the original, which saves its state beside
// metadata.
func prefix(c *published.Checkpoint) string {
	if c.HasWeight("state_dict.encoder.block.0") {
		return "state_dict."
	}
	return ""
}

// sampleRate is in the configuration of Transformers, and in the metadata of the
// original.
func sampleRate(c *published.Checkpoint) (rate int, err error) {
	var config struct {
		SampleRate int `json:"sampling_rate"`
	}
	if _, err := c.Config(&config); err != nil || config.SampleRate > 0 {
		return config.SampleRate, err
	}
	for _, key := range []string{"metadata.kwargs.sample_rate", "metadata.sample_rate"} {
		if v, ok := c.Value(key); ok {
			_, err = fmt.Sscan(fmt.Sprint(v), &rate)
			return rate, err
		}
	}
	return 0, fmt.Errorf("its sample rate is in neither its metadata nor a config.json beside it")
}

// read gives the shape of the network, which the shapes of the arrays tell.
func read(c *published.Checkpoint) descript.Config {
	cfg := descript.Config{Names: descript.Original}
	input, down, up, output := "encoder.block.0", "encoder.block.%d.block.4", "decoder.model.%d.block.1", "decoder.model.0"
	first := 1
	if c.HasWeight("encoder.conv1") {
		cfg.Names = descript.Transformers
		input, down, up, output, first = "encoder.conv1", "encoder.block.%d.conv1", "decoder.block.%d.conv_t1", "decoder.conv1", 0
	}
	for i := first; ; i++ {
		kernel := c.WeightShape(fmt.Sprintf(down, i))
		if len(kernel) != 3 {
			break
		}
		cfg.EncoderRates = append(cfg.EncoderRates, kernel[2]/2)
	}
	for i := first; ; i++ {
		kernel := c.WeightShape(fmt.Sprintf(up, i))
		if len(kernel) != 3 {
			break
		}
		cfg.DecoderRates = append(cfg.DecoderRates, kernel[2]/2)
	}
	if shape := c.WeightShape(input); len(shape) == 3 {
		cfg.EncoderDim = shape[0]
	}
	if shape := c.WeightShape(output); len(shape) == 3 {
		cfg.DecoderDim, cfg.LatentDim = shape[0], shape[1]
	}
	return cfg
}

func build(c *published.Checkpoint) (*published.Model, error) {
	rate, err := sampleRate(c)
	if err != nil {
		return nil, err
	}
	c.Prefix = prefix(c)
	c.Within("sample rate", rate, 1000, 192000)
	cfg := read(c)
	if !cfg.Check(c) {
		return nil, nil
	}
	q := &published.Residual{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("quantizer.quantizers.%d", i)
		shape := c.Shape(name + ".codebook.weight")
		if len(shape) != 2 {
			break
		}
		book := c.Codebook(name+".codebook.weight", shape[0], shape[1])
		book.Cosine = true
		q.Levels = append(q.Levels, published.Level{
			Book: book,
			In:   c.Linear(name+".in_proj", cfg.LatentDim, shape[1]), Out: c.Linear(name+".out_proj", shape[1], cfg.LatentDim),
		})
	}
	c.Within("number of codebooks", len(q.Levels), 1, 64)
	hop := cfg.Hop()
	return &published.Model{
		Name:       fmt.Sprintf("dac-%skhz", strings.TrimSuffix(fmt.Sprintf("%.1f", float64(rate)/1000), ".0")),
		SampleRate: rate, Hop: hop, PadInput: hop,
		Encoder: descript.Encoder(c, cfg), Quantizer: q, Decoder: descript.Decoder(c, cfg),
	}, nil
}
