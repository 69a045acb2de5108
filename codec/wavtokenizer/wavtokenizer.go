// Package wavtokenizer runs WavTokenizer (Ji et al. 2025): one codebook of 4,096
// entries at 40 or 75 frames a second, from the checkpoints of its makers and those
// of Hugging Face Transformers.
//
// Importing it makes codec.Load know such files. The original's YAML is not needed:
// the shapes of the arrays tell what it says.
package wavtokenizer

import (
	"fmt"
	"strings"

	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/published/seanet"
	"github.com/sotto-audio/sotto/internal/published/vocos"
)

// Family is the name of this family of models.
const Family = "wavtokenizer"

// sampleRate of every published model, in Hz.
const sampleRate = 24000

// layout says where a checkpoint has the parts.
type layout struct {
	encoder, decoder string // prefixes of the names
	book, head       string
	names            seanet.Names
}

var (
	original = layout{
		"state_dict.feature_extractor.encodec.", "state_dict.", "state_dict.feature_extractor.encodec.quantizer.vq.layers.%d._codebook.embed", "head.out",
		seanet.Original,
	}
	transformers = layout{"encoder_model.", "", "encoder_model.quantizer.codebook.embed", "head.linear", seanet.Transformers}
)

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

func find(c *published.Checkpoint) (layout, bool) {
	bare := original // the state alone
	bare.encoder, bare.book = strings.TrimPrefix(bare.encoder, bare.decoder), strings.TrimPrefix(bare.book, bare.decoder)
	bare.decoder = ""
	for _, l := range []layout{original, bare, transformers} {
		if c.Has(l.decoder + "feature_extractor.codebook_weights") {
			continue // Vocos, trained on EnCodec's codes
		}
		if c.HasWeight(l.decoder+"backbone.embed") && c.HasWeight(l.decoder+l.head) && c.Has(l.entries(0)) {
			return l, true
		}
	}
	return layout{}, false
}

// entries is the name of those of a codebook.
func (l layout) entries(i int) string { return strings.ReplaceAll(l.book, "%d", fmt.Sprint(i)) }

func detect(c *published.Checkpoint) bool {
	_, ok := find(c)
	return ok
}

func build(c *published.Checkpoint) (*published.Model, error) {
	l, _ := find(c)
	// What training alone needs: discriminators, the decoder of EnCodec, the losses'
	// filters, and the window, which is Hann's.
	c.Ignore("discriminators.", "multiperioddisc.", "multiresddisc.", "dac.", "disc.", "encodec.decoder.", "melspec_loss.", ".inited", ".cluster_size",
		".embed_avg", "head.istft.window")
	network := seanet.Default()
	network.Names, network.Causal = l.names, false
	c.Prefix = l.encoder
	seanet.Infer(c, &network)
	if !network.Check(c) {
		return nil, nil
	}
	m := &published.Model{SampleRate: sampleRate, Hop: network.Hop(), Encoder: seanet.Encoder(c, network)}
	c.Prefix = ""
	q := &published.Residual{}
	for i := 0; i == 0 || l.entries(i) != l.entries(0) && c.Has(l.entries(i)); i++ {
		shape := c.Shape(l.entries(i))
		if len(shape) != 2 || shape[1] != network.Dimension {
			return nil, fmt.Errorf("%s has shape %v after latents of %d", l.entries(i), shape, network.Dimension)
		}
		q.Levels = append(q.Levels, published.Level{Book: c.Codebook(l.entries(i), shape[0], shape[1])})
	}
	m.Quantizer = q
	c.Prefix = l.decoder
	decoders, dim := vocos.Backbones(c, "backbone")
	head := vocos.Head(c, l.head, dim, m.Hop, vocos.Same)
	if !c.Sound() {
		return nil, nil
	}
	m.Decoder = append(decoders[0], head) // the first condition is the one that inference uses
	m.Name = fmt.Sprintf("wavtokenizer-%d", sampleRate/m.Hop)
	return m, nil
}
