// Package mimi runs Mimi (Défossez et al. 2024, Moshi, section 3.3): a causal
// network of convolutions and transformers that gives 12.5 frames a second of up to
// 32 codes, the first of which was taught by a speech model, from the checkpoints
// of its makers and those of Hugging Face Transformers. It streams exactly, with
// the latency of a frame of 80 ms.
//
// Importing it makes codec.Load know such files.
package mimi

import (
	"fmt"
	"math/bits"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/published/seanet"
)

// Family is the name of this family of models.
const Family = "mimi"

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

// layout is what the arrays of a checkpoint are called.
type layout struct {
	network                   seanet.Names
	transformer               string // of layer %d, after encoder or decoder
	attend, attendScale, norm string // of a layer
	widen, narrow             string
	feedScale, feedNorm       string
	output                    string // of attention
	down, up                  string
	semantic, acoustic        string
	book, sum                 string // of level %d
	paired                    bool   // queries and keys have the values that turn together side by side
}

var (
	original = layout{
		network: seanet.Original, transformer: "_transformer.transformer.layers.%d", attend: ".self_attn", attendScale: ".layer_scale_1.scale",
		norm: ".norm1", widen: ".linear1", narrow: ".linear2", feedScale: ".layer_scale_2.scale", feedNorm: ".norm2", output: ".out_projs.0",
		down: "downsample.conv.conv.conv", up: "upsample.convtr.convtr.convtr", semantic: "quantizer.rvq_first", acoustic: "quantizer.rvq_rest",
		book: ".vq.layers.%d._codebook", sum: ".embedding_sum", paired: true,
	}
	transformers = layout{
		network: seanet.Transformers, transformer: "_transformer.layers.%d", attend: ".self_attn", attendScale: ".self_attn_layer_scale.scale",
		norm: ".input_layernorm", widen: ".mlp.fc1", narrow: ".mlp.fc2", feedScale: ".mlp_layer_scale.scale", feedNorm: ".post_attention_layernorm",
		output: ".o_proj", down: "downsample.conv", up: "upsample.conv", semantic: "quantizer.semantic_residual_vector_quantizer",
		acoustic: "quantizer.acoustic_residual_vector_quantizer", book: ".layers.%d.codebook", sum: ".embed_sum",
	}
)

// config is what the arrays do not tell: that of Transformers, and beside it that
// of the original. The published models have the defaults.
type config struct {
	SampleRate  int `json:"sampling_rate"`
	Heads       int `json:"num_attention_heads"`
	Context     int `json:"sliding_window"`
	Transformer struct {
		Heads   int `json:"num_heads"`
		Context int `json:"context"`
	} `json:"transformer"`
}

func find(c *published.Checkpoint) (layout, bool) {
	for _, l := range []layout{original, transformers} {
		if c.HasWeight(l.down) && c.Has(l.semantic+fmt.Sprintf(l.book, 0)+l.sum) {
			return l, true
		}
	}
	return layout{}, false
}

func detect(c *published.Checkpoint) bool {
	_, ok := find(c)
	return ok
}

func build(c *published.Checkpoint) (*published.Model, error) {
	l, _ := find(c)
	cfg := config{SampleRate: 24000, Heads: 8, Context: 250}
	if _, err := c.Config(&cfg); err != nil {
		return nil, err
	}
	if cfg.Transformer.Heads > 0 {
		cfg.Heads, cfg.Context = cfg.Transformer.Heads, cfg.Transformer.Context
	}
	network := seanet.Default()
	network.Names, network.PadMode = l.network, nn.PadZero
	seanet.Infer(c, &network)
	network.Check(c)
	c.Within("sampling_rate", cfg.SampleRate, 1000, 192000)
	c.Within("sliding_window", cfg.Context, 1, 1<<14)
	c.Within("number of heads", cfg.Heads, 1, 1<<10)
	kernel := c.WeightShape(l.down)
	if len(kernel) != 3 || kernel[2]%2 != 0 {
		return nil, fmt.Errorf("%s has shape %v", l.down, kernel)
	}
	dim, stride := network.Dimension, kernel[2]/2
	c.Within("stride of the frames", stride, 1, 64)
	if !c.Sound() {
		return nil, nil
	}
	if size := dim / cfg.Heads; dim%cfg.Heads != 0 || size < 2 || bits.OnesCount(uint(size)) != 1 {
		return nil, fmt.Errorf("its configuration: %d heads of %d columns: a head has a power of two", cfg.Heads, dim)
	}
	c.Ignore("initialized") // of training
	hop := network.Hop() * stride
	m := &published.Model{Name: "mimi", SampleRate: cfg.SampleRate, Hop: hop, PadInput: hop}
	down := &nn.Conv1d{In: dim, Out: dim, Kernel: 2 * stride, Stride: stride, Pad: nn.Padding{Left: stride, Mode: nn.PadReplicate, Fill: true}}
	m.Encoder = append(append(seanet.Encoder(c, network), transformer(c, l, cfg, "encoder", dim)...), c.ConvNoBias(down, l.down))
	up := &nn.ConvTranspose1d{In: dim, Out: dim, Kernel: 2 * stride, Stride: stride, Groups: dim, TrimRight: stride}
	m.Decoder = append(append(nn.Chain{c.ConvTransposeNoBias(up, l.up)}, transformer(c, l, cfg, "decoder", dim)...), seanet.Decoder(c, network)...)
	q := &split{residual(c, l, l.semantic, dim), residual(c, l, l.acoustic, dim)}
	m.Quantizer = q
	for n := len(q.semantic.Levels); n <= len(q.Sizes()); n++ {
		m.Levels = append(m.Levels, n)
	}
	c.Within("number of codebooks", len(q.Sizes()), 1, 64)
	return m, nil
}

// transformer is layers of attention and two linear layers, each after a norm and
// beside its input, with layer scales.
func transformer(c *published.Checkpoint, l layout, cfg config, part string, dim int) nn.Chain {
	const eps = 1e-5
	var chain nn.Chain
	for i := 0; ; i++ {
		name := part + fmt.Sprintf(l.transformer, i)
		wide := c.WeightShape(name + l.widen)
		if len(wide) != 2 {
			return chain
		}
		scale := func(of string) *nn.LayerScale { return &nn.LayerScale{Gamma: c.Param(name+of, dim)} }
		chain = append(chain,
			&nn.Residual{Branch: nn.Chain{c.LayerNorm(name+l.norm, dim, eps), attend(c, l, cfg, name+l.attend, dim), scale(l.attendScale)}},
			&nn.Residual{Branch: &nn.FeedForward{
				Norm: c.LayerNorm(name+l.feedNorm, dim, eps), Expand: c.LinearNoBias(name+l.widen, dim, wide[0]), Func: backend.GELUErf,
				Project: c.LinearNoBias(name+l.narrow, wide[0], dim), Scale: scale(l.feedScale),
			}})
	}
}

// attend makes a layer of attention. The original keeps the projections to queries,
// keys and values as one; Transformers has the pairs that turn half a head apart,
// which are put side by side as in the original.
func attend(c *published.Checkpoint, l layout, cfg config, name string, dim int) *attention {
	size := dim / cfg.Heads
	a := &attention{heads: cfg.Heads, context: cfg.Context, frequencies: frequencies(size / 2)}
	in, out := ".in_projs.0.weight", l.output
	if c.Has(name + ".in_proj_weight") {
		in, out = ".in_proj_weight", ".out_proj"
	}
	var joined []float32
	if l.paired {
		joined = c.Get(name+in, 3*dim, dim)
	}
	for i, to := range []**nn.Linear{&a.q, &a.k, &a.v} {
		part := "qkv"[i : i+1]
		w := nn.NewParam(name+"."+part, dim, dim)
		rows := joined
		if !l.paired {
			rows = c.Get(name+"."+part+"_proj.weight", dim, dim)
		} else if rows != nil {
			rows = rows[i*dim*dim:]
		}
		for row := range dim {
			from := row
			if !l.paired && part != "v" {
				from = row/size*size + row%size/2 + row%2*size/2
			}
			for col := range dim {
				if rows != nil {
					w.Data[col*dim+row] = rows[from*dim+col]
				}
			}
		}
		*to = &nn.Linear{In: dim, Out: dim, Weight: w}
	}
	a.out = c.LinearNoBias(name+out, dim, dim)
	return a
}

// residual makes a residual quantizer whose entries are kept as the sums and the
// counts of what they stood for.
func residual(c *published.Checkpoint, l layout, name string, dim int) *published.Residual {
	q := &published.Residual{}
	for i := 0; ; i++ {
		book := name + fmt.Sprintf(l.book, i)
		shape := c.Shape(book + l.sum)
		if len(shape) != 2 {
			break
		}
		size, width := shape[0], shape[1]
		entries := nn.NewParam(book, size, width)
		sums, counts := c.Get(book+l.sum, size, width), c.Get(book+".cluster_usage", size)
		if sums != nil && counts != nil {
			for e, n := range counts {
				for k := range width {
					entries.Data[e*width+k] = sums[e*width+k] / max(n, 1e-5)
				}
			}
		}
		q.Levels = append(q.Levels, published.Level{Book: &nn.Codebook{Size: size, Dim: width, Entries: entries}})
		if i == 0 {
			q.In, q.Out = c.LinearNoBias(name+".input_proj", dim, width), c.LinearNoBias(name+".output_proj", width, dim)
		}
	}
	return q
}
