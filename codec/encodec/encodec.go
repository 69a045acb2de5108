// Package encodec runs EnCodec (Défossez et al. 2022): the causal model of 24 kHz
// and the stereo model of 48 kHz, from the checkpoints of its makers and those of
// Hugging Face Transformers.
//
// Importing it makes codec.Load know such files.
package encodec

import (
	"fmt"
	"math"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/published/seanet"
)

// Family is the name of this family of models.
const Family = "encodec"

func init() {
	published.Register(published.Family{Name: Family, Detect: detect, Build: build})
}

// config is that of Hugging Face Transformers.
type config struct {
	ModelType        string    `json:"model_type"`
	SampleRate       int       `json:"sampling_rate"`
	Channels         int       `json:"audio_channels"`
	Normalize        bool      `json:"normalize"`
	ChunkSeconds     *float64  `json:"chunk_length_s"`
	Overlap          *float64  `json:"overlap"`
	Hidden           int       `json:"hidden_size"`
	Filters          int       `json:"num_filters"`
	ResidualLayers   int       `json:"num_residual_layers"`
	Ratios           []int     `json:"upsampling_ratios"`
	Norm             string    `json:"norm_type"`
	Kernel           int       `json:"kernel_size"`
	LastKernel       int       `json:"last_kernel_size"`
	ResidualKernel   int       `json:"residual_kernel_size"`
	DilationGrowth   int       `json:"dilation_growth_rate"`
	Causal           bool      `json:"use_causal_conv"`
	PadMode          string    `json:"pad_mode"`
	Compress         int       `json:"compress"`
	LSTM             int       `json:"num_lstm_layers"`
	TrimRight        float64   `json:"trim_right_ratio"`
	CodebookSize     int       `json:"codebook_size"`
	CodebookDim      *int      `json:"codebook_dim"`
	ConvShortcut     bool      `json:"use_conv_shortcut"`
	TargetBandwidths []float64 `json:"target_bandwidths"`
}

func detect(c *published.Checkpoint) bool {
	var cfg config
	if has, err := c.Config(&cfg); has && err == nil && cfg.ModelType != "" {
		return cfg.ModelType == Family
	}
	s := seanet.Default()
	return seanet.Infer(c, &s) && s.Dimension != 512 && c.Has("quantizer.vq.layers.0._codebook.embed") && !c.Has("transform.weight")
}

// shape is what both layouts say of a model.
type shape struct {
	network    seanet.Config
	sampleRate int
	normalize  bool
	segment    float64 // seconds, 0 for none
	overlap    float64
	book       string // name of the entries of codebook %d
	size, dim  int    // of a codebook
	books      int
	bandwidths []float64 // kbit/s
}

// read gives the shape of a checkpoint.
func read(c *published.Checkpoint) (shape, error) {
	s := shape{network: seanet.Default()}
	if !c.Has("quantizer.layers.0.codebook.embed") {
		// The original state of the model says nothing of rates: the stereo model is
		// the one with norms.
		seanet.Infer(c, &s.network)
		s.book = "quantizer.vq.layers.%d._codebook.embed"
		s.sampleRate, s.bandwidths = 24000, []float64{1.5, 3, 6, 12, 24}
		if s.network.TimeGroupNorm {
			s.network.Causal = false
			s.sampleRate, s.bandwidths, s.normalize, s.segment, s.overlap = 48000, []float64{3, 6, 12, 24}, true, 1, 0.01
		}
		entries := c.Shape(fmt.Sprintf(s.book, 0))
		if len(entries) != 2 {
			return s, fmt.Errorf("%s is missing or no matrix", fmt.Sprintf(s.book, 0))
		}
		s.size, s.dim = entries[0], entries[1]
	} else {
		// The defaults are those of the configuration class.
		cfg := config{
			SampleRate: 24000, Channels: 1, Hidden: 128, Filters: 32, ResidualLayers: 1, Ratios: []int{8, 5, 4, 2}, Norm: "weight_norm",
			Kernel: 7, LastKernel: 7, ResidualKernel: 3, DilationGrowth: 2, Causal: true, PadMode: "reflect", Compress: 2, LSTM: 2, TrimRight: 1,
			CodebookSize: 1024, ConvShortcut: true, TargetBandwidths: []float64{1.5, 3, 6, 12, 24},
		}
		has, err := c.Config(&cfg)
		if err != nil {
			return s, err
		}
		if !has {
			return s, fmt.Errorf("this layout needs its config.json beside it")
		}
		mode, ok := map[string]nn.PadMode{"reflect": nn.PadReflect, "constant": nn.PadZero, "replicate": nn.PadReplicate}[cfg.PadMode]
		if !ok || cfg.Norm != "weight_norm" && cfg.Norm != "time_group_norm" {
			return s, fmt.Errorf("its configuration: pad mode %q or norm %q is not known", cfg.PadMode, cfg.Norm)
		}
		s.network = seanet.Config{
			Channels: cfg.Channels, Dimension: cfg.Hidden, Filters: cfg.Filters, ResidualLayers: cfg.ResidualLayers, Ratios: cfg.Ratios,
			Kernel: cfg.Kernel, LastKernel: cfg.LastKernel, ResidualKernel: cfg.ResidualKernel, DilationBase: cfg.DilationGrowth, Compress: cfg.Compress,
			Causal: cfg.Causal, PadMode: mode, TrueSkip: !cfg.ConvShortcut, LSTM: cfg.LSTM, TrimRight: cfg.TrimRight,
			TimeGroupNorm: cfg.Norm == "time_group_norm", Names: seanet.Transformers,
		}
		s.book, s.size, s.dim = "quantizer.layers.%d.codebook.embed", cfg.CodebookSize, cfg.Hidden
		if cfg.CodebookDim != nil {
			s.dim = *cfg.CodebookDim
		}
		s.sampleRate, s.normalize, s.bandwidths = cfg.SampleRate, cfg.Normalize, cfg.TargetBandwidths
		if cfg.ChunkSeconds != nil {
			s.segment = *cfg.ChunkSeconds
			if cfg.Overlap != nil {
				s.overlap = *cfg.Overlap
			}
		}
	}
	for c.Has(fmt.Sprintf(s.book, s.books)) {
		s.books++
	}
	c.Within("sampling_rate", s.sampleRate, 1000, 192000)
	c.Within("codebook_size", s.size, 2, 1<<16)
	c.Within("number of codebooks", s.books, 1, 64)
	if !(s.segment >= 0 && s.segment <= 60 && s.overlap >= 0 && s.overlap < 1) {
		return s, fmt.Errorf("segments of %g s that overlap by %g", s.segment, s.overlap)
	}
	if s.dim != s.network.Dimension {
		return s, fmt.Errorf("codebooks of dimension %d after latents of %d", s.dim, s.network.Dimension)
	}
	s.network.Check(c)
	return s, nil
}

// levels are the numbers of codebooks at the bandwidths that the model was trained
// for.
func (s *shape) levels() []int {
	bits := math.Log2(float64(s.size)) * math.Ceil(float64(s.sampleRate)/float64(s.network.Hop())) // a second
	var all []int
	for _, b := range s.bandwidths {
		n := min(max(1, int(math.Floor(b*1000/bits))), s.books)
		if len(all) == 0 || n > all[len(all)-1] {
			all = append(all, n)
		}
	}
	if len(all) == 0 || all[len(all)-1] < s.books {
		all = append(all, s.books)
	}
	return all
}

func build(c *published.Checkpoint) (*published.Model, error) {
	s, err := read(c)
	if err != nil || !c.Sound() {
		return nil, err
	}
	c.Ignore(".inited", ".cluster_size", ".embed_avg") // of training
	q := &published.Residual{}
	for i := range s.books {
		q.Levels = append(q.Levels, published.Level{Book: c.Codebook(fmt.Sprintf(s.book, i), s.size, s.dim)})
	}
	m := &published.Model{
		Name:       fmt.Sprintf("encodec-%skhz", strings.TrimSuffix(fmt.Sprintf("%.1f", float64(s.sampleRate)/1000), ".0")),
		SampleRate: s.sampleRate, Hop: s.network.Hop(), Levels: s.levels(),
		Encoder: seanet.Encoder(c, s.network), Quantizer: q, Decoder: seanet.Decoder(c, s.network),
		Wrap: func(c *published.Codec) codec.Codec { return &Model{net: c, shape: s} },
	}
	return m, nil
}
