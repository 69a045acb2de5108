package whisper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sotto-audio/sotto/internal/weights"
)

// openTransformers reads a folder as Transformers saves it: config.json with
// model.safetensors, or with model.safetensors.index.json and its parts.
func openTransformers(dir string) (*checkpoint, error) {
	var config struct {
		ModelType  string `json:"model_type"`
		Mels       int    `json:"num_mel_bins"`
		AudioCtx   int    `json:"max_source_positions"`
		Width      int    `json:"d_model"`
		AudioHeads int    `json:"encoder_attention_heads"`
		AudioDepth int    `json:"encoder_layers"`
		Vocabulary int    `json:"vocab_size"`
		TextCtx    int    `json:"max_target_positions"`
		TextHeads  int    `json:"decoder_attention_heads"`
		TextDepth  int    `json:"decoder_layers"`
	}
	if err := readJSON(filepath.Join(dir, "config.json"), &config); err != nil {
		return nil, err
	}
	if config.ModelType != "whisper" {
		return nil, fmt.Errorf("config.json describes a model of type %q, not whisper", config.ModelType)
	}
	c := &checkpoint{dims: dims{
		Mels:         config.Mels,
		AudioContext: config.AudioCtx, AudioWidth: config.Width, AudioHeads: config.AudioHeads, AudioLayers: config.AudioDepth,
		Vocabulary:  config.Vocabulary,
		TextContext: config.TextCtx, TextWidth: config.Width, TextHeads: config.TextHeads, TextLayers: config.TextDepth,
	}}
	var generation struct {
		Alignment [][2]int `json:"alignment_heads"`
	}
	if err := readJSON(filepath.Join(dir, "generation_config.json"), &generation); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c.alignment = generation.Alignment

	parts := []string{"model.safetensors"}
	var index struct {
		Files map[string]string `json:"weight_map"`
	}
	switch err := readJSON(filepath.Join(dir, "model.safetensors.index.json"), &index); {
	case err == nil:
		seen := map[string]bool{}
		parts = nil
		for _, part := range index.Files {
			if !filepath.IsLocal(part) {
				return nil, fmt.Errorf("its index names %q, which is outside of the folder", part)
			}
			if !seen[part] {
				seen[part] = true
				parts = append(parts, part)
			}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	tensors := map[string]weights.Tensor{}
	for _, part := range parts {
		data, err := os.ReadFile(filepath.Join(dir, part))
		if err != nil {
			return nil, err
		}
		f, err := weights.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part, err)
		}
		for name, t := range f.Tensors {
			tensors[originalName(name)] = t
		}
	}
	c.read = func(name string) (weights.Tensor, error) {
		t, ok := tensors[name]
		if !ok {
			return t, fmt.Errorf("there is no tensor %q", name)
		}
		delete(tensors, name) // each is read once
		return t, nil
	}
	return c, nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}

var layerName = regexp.MustCompile(`^((?:en|de)coder)\.layers\.(\d+)\.(.+)\.(weight|bias)$`)

// originalName gives the original code's name of a tensor of Transformers.
func originalName(name string) string {
	name = strings.TrimPrefix(name, "model.")
	if m := layerName.FindStringSubmatch(name); m != nil {
		if part, ok := map[string]string{
			"self_attn.q_proj": "attn.query", "self_attn.k_proj": "attn.key", "self_attn.v_proj": "attn.value",
			"self_attn.out_proj": "attn.out", "self_attn_layer_norm": "attn_ln",
			"encoder_attn.q_proj": "cross_attn.query", "encoder_attn.k_proj": "cross_attn.key", "encoder_attn.v_proj": "cross_attn.value",
			"encoder_attn.out_proj": "cross_attn.out", "encoder_attn_layer_norm": "cross_attn_ln",
			"fc1": "mlp.0", "fc2": "mlp.2", "final_layer_norm": "mlp_ln",
		}[m[3]]; ok {
			return m[1] + ".blocks." + m[2] + "." + part + "." + m[4]
		}
	}
	switch name {
	case "encoder.embed_positions.weight":
		return "encoder.positional_embedding"
	case "decoder.embed_positions.weight":
		return "decoder.positional_embedding"
	case "decoder.embed_tokens.weight":
		return "decoder.token_embedding.weight"
	}
	name = strings.Replace(name, "encoder.layer_norm.", "encoder.ln_post.", 1)
	return strings.Replace(name, "decoder.layer_norm.", "decoder.ln.", 1)
}
