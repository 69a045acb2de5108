// Package hub brings the weights of published models from a model hub into a cache
// folder: whole or not at all, resumed where a download broke off, and checked
// against the sum that the hub states.
package hub

import (
	"fmt"
	"slices"
	"strings"
)

// Model is a published model.
type Model struct {
	Name    string // on the command line
	Repo    string // owner/name at the hub
	Files   []File
	Licence string // of the weights, as their makers state it
	// NonCommercial says that the licence excludes commercial use.
	NonCommercial bool
	// Config is the configuration, written beside the weights where the repository
	// has none.
	Config string
}

// File is a file of a repository and the name that it gets.
type File struct{ Path, As string }

// transformers are the files of a model in the layout of Hugging Face Transformers.
var transformers = []File{{"model.safetensors", "model.safetensors"}, {"config.json", "config.json"}}

// original are those of SNAC and of others that keep PyTorch's format.
var original = []File{{"pytorch_model.bin", "pytorch_model.bin"}, {"config.json", "config.json"}}

// vocos are those of Vocos.
var vocos = []File{{"pytorch_model.bin", "pytorch_model.bin"}, {"config.yaml", "config.yaml"}}

const ccBYNC = "CC BY-NC 4.0"

// academicodec is a checkpoint of AcademiCodec, which has many in one repository
// and keeps their recipes elsewhere.
func academicodec(name, path, config string) Model {
	return Model{Name: name, Repo: "Dongchao/AcademiCodec", Files: []File{{path, name + ".pth"}}, Licence: "none stated; MIT by the readme", Config: config}
}

// recipe is the part of a HiFi-Codec recipe that runs.
func recipe(rate int, strides, kernels string) string {
	return fmt.Sprintf(`{"resblock": "1", "upsample_rates": %s, "upsample_kernel_sizes": %s, "upsample_initial_channel": 512,
 "resblock_kernel_sizes": [3, 7, 11], "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
 "sampling_rate": %d, "n_code_groups": 2, "n_codes": 1024}
`, strides, kernels, rate)
}

// catalog lists the models, by name.
var catalog = []Model{
	academicodec("academicodec-16k-320d", "encodec_16k_320d.pth", ""),
	academicodec("academicodec-24k-240d", "encodec_24khz_240d.pth", ""),
	{Name: "bigcodec", Repo: "Alethia/BigCodec", Files: []File{{"bigcodec.pt", "bigcodec.pt"}}, Licence: "MIT"},
	{Name: "dac-16khz", Repo: "descript/dac_16khz", Files: transformers, Licence: "MIT"},
	{Name: "dac-24khz", Repo: "descript/dac_24khz", Files: transformers, Licence: "MIT"},
	{Name: "dac-44khz", Repo: "descript/dac_44khz", Files: transformers, Licence: "MIT"},
	{Name: "encodec-24khz", Repo: "facebook/encodec_24khz", Files: transformers, Licence: ccBYNC, NonCommercial: true},
	{Name: "encodec-48khz", Repo: "facebook/encodec_48khz", Files: transformers, Licence: ccBYNC, NonCommercial: true},
	academicodec("hificodec-16k-320d", "HiFi-Codec-16k-320d", recipe(16000, "[8, 5, 4, 2]", "[16, 11, 8, 4]")),
	academicodec("hificodec-24k-240d", "HiFi-Codec-24k-240d", recipe(24000, "[8, 5, 3, 2]", "[16, 11, 7, 4]")),
	academicodec("hificodec-24k-320d", "HiFi-Codec-24k-320d", recipe(24000, "[8, 5, 4, 2]", "[16, 11, 8, 4]")),
	{Name: "mimi", Repo: "kyutai/mimi", Files: transformers, Licence: "CC BY 4.0"},
	{Name: "snac-24khz", Repo: "hubertsiuzdak/snac_24khz", Files: original, Licence: "MIT"},
	{Name: "snac-32khz", Repo: "hubertsiuzdak/snac_32khz", Files: original, Licence: "MIT"},
	{Name: "snac-44khz", Repo: "hubertsiuzdak/snac_44khz", Files: original, Licence: "MIT"},
	{Name: "speechtokenizer", Repo: "fnlp/SpeechTokenizer", Licence: "Apache-2.0", Files: []File{
		{"speechtokenizer_hubert_avg/SpeechTokenizer.pt", "SpeechTokenizer.pt"}, {"speechtokenizer_hubert_avg/config.json", "config.json"},
	}},
	{Name: "vocos-encodec-24khz", Repo: "charactr/vocos-encodec-24khz", Files: vocos, Licence: "MIT"},
	{Name: "vocos-mel-24khz", Repo: "charactr/vocos-mel-24khz", Files: vocos, Licence: "MIT"},
	{Name: "wavtokenizer-40-speech-small", Repo: "swiss-ai/wavtokenizer-small-speech-40token", Files: transformers, Licence: "MIT"},
	{Name: "wavtokenizer-75-speech-small", Repo: "swiss-ai/wavtokenizer-small-speech-75token", Files: transformers, Licence: "MIT"},
	{Name: "wavtokenizer-75-speech-medium", Repo: "swiss-ai/wavtokenizer-medium-speech-75token-v2", Files: transformers, Licence: "MIT"},
	{Name: "wavtokenizer-75-speech-large", Repo: "swiss-ai/wavtokenizer-large-speech-75token-v2", Files: transformers, Licence: "MIT"},
	{Name: "wavtokenizer-40-large", Repo: "swiss-ai/wavtokenizer-large-unify-40token", Files: transformers, Licence: "MIT"},
}

// Catalog lists the models that Find knows.
func Catalog() []Model { return slices.Clone(catalog) }

// Find gives the model of that name, or of OWNER/REPOSITORY in the layout of
// Transformers.
func Find(name string) (Model, error) {
	for _, m := range catalog {
		if m.Name == name {
			return m, nil
		}
	}
	if owner, repo, ok := strings.Cut(name, "/"); ok && plain(owner) && plain(repo) {
		return Model{Name: owner + "--" + repo, Repo: name, Files: transformers, Licence: "see the model's page"}, nil
	}
	var names []string
	for _, m := range catalog {
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("%s: not a model that is known: name OWNER/REPOSITORY or one of %s", name, strings.Join(names, ", "))
}

// plain reports a part of a repository's name that is safe in an address and as
// the name of a folder.
func plain(s string) bool {
	return s != "" && s[0] != '.' && s[0] != '-' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}
