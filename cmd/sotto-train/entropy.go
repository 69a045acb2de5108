package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/tokeneval"
	"github.com/sotto-audio/sotto/internal/train"
)

type entropyCmd struct {
	Data       []string `required:"" placeholder:"MANIFEST" help:"Manifests of recordings (tab-separated: path, seconds, split, speaker). Repeatable."`
	Model      string   `placeholder:"FILE" help:"Weights whose tokens are coded; the model inside this program by default."`
	Out        string   `short:"o" placeholder:"FILE" help:"Network to write (.safetensors)."`
	Repository string   `placeholder:"DIR" help:"Checkout of sotto: write the network beside the weights in it. Instead of --model and --out."`
	Config     string   `type:"existingfile" help:"Recipe: a JSON file over the default one."`
	Epochs     float64  `help:"Passes over the training rows, instead of the recipe's."`
	Tokens     string   `placeholder:"FILE" help:"Keep the tokens of the recordings in this file, for the next run."`
	Valid      string   `default:"librispeech" help:"Validation rows whose path contains this."`
}

// Help is shown with --help.
func (entropyCmd) Help() string {
	return "Trains the network by which .sotto files spend fewer bits on the same tokens, and measures it on the validation rows.\n\n" +
		"Examples:\n  sotto-train entropy --data speech/manifest.tsv -o entropy.safetensors\n" +
		"  sotto-train entropy --data speech/manifest.tsv --data more/manifest.tsv --repository ."
}

// Validate refuses two destinations, and none.
func (c *entropyCmd) Validate() error {
	if (c.Out == "") == (c.Repository == "") || c.Repository != "" && c.Model != "" {
		return errors.New("give either --out or --repository")
	}
	return nil
}

// Run trains, writes the network and prints what it saves.
func (c *entropyCmd) Run(ctx context.Context) error {
	if c.Repository != "" {
		found, err := filepath.Glob(filepath.Join(c.Repository, "codec", "sotto", "weights", "*[0-9].safetensors"))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("entropy: %s is no checkout of sotto with one model in codec/sotto/weights", c.Repository)
		}
		c.Model = found[0]
		c.Out = sotto.EntropyPath(c.Model)
	}
	recipe := train.DefaultEntropyConfig()
	if c.Config != "" {
		data, err := os.ReadFile(c.Config)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &recipe); err != nil {
			return fmt.Errorf("entropy: %s: %w", c.Config, err)
		}
	}
	if c.Epochs > 0 {
		recipe.Epochs = c.Epochs
	}
	weights := sotto.Released()
	if c.Model != "" {
		var err error
		if weights, err = os.ReadFile(c.Model); err != nil {
			return err
		}
	}
	checkpoint, _, err := native.Unmarshal(weights)
	if err != nil {
		return err
	}
	model, err := sotto.Load(weights, sotto.WithThreads(1))
	if err != nil {
		return err
	}
	rows, trained, err := c.rows()
	if err != nil {
		return err
	}
	codes, err := c.encode(ctx, model, rows)
	if err != nil {
		return err
	}
	e, err := train.NewEntropy(recipe, checkpoint.Quantizer, codes[:trained], device())
	if err != nil {
		return err
	}
	if err := e.Run(ctx, os.Stderr); err != nil {
		return err
	}
	info := model.Info()
	network, err := e.Network()
	if err != nil {
		return err
	}
	data, err := network.Marshal(info.Fingerprint)
	if err != nil {
		return err
	}
	if err := train.WriteFile(c.Out, data); err != nil {
		return err
	}
	if c.Repository != "" {
		if err := rehash(ctx, c.Repository, "ReleasedEntropyCoder"); err != nil {
			return err
		}
	}
	coder, err := codec.LoadEntropy(data)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s, %d bytes, for %s (%s)\n", c.Out, coder.ID(), len(data), info.Name, info.Fingerprint)
	rates, err := tokeneval.Rates(coder, info, codes[trained:], recipe.Frames)
	if err != nil {
		return err
	}
	return printRates(os.Stdout, rates)
}

func printRates(w io.Writer, rates []tokeneval.Rate) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "KBIT/S\tBITS A TOKEN\tSTATIC TABLES\tNETWORK\tSAVED\t")
	for _, r := range rates {
		fmt.Fprintf(t, "%g\t%.2f\t%.2f\t%.2f\t%.1f %%\t\n", r.Kbps, r.Packed, r.Static, r.Adaptive, 100*r.Saved)
	}
	return t.Flush()
}

// rows lists the training rows, then the validation rows, and counts the former.
func (c *entropyCmd) rows() (rows []train.Row, trained int, err error) {
	var valid []train.Row
	for _, path := range c.Data {
		all, err := train.ReadManifest(path)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range all {
			switch {
			case r.Split == "train":
				rows = append(rows, r)
			case r.Split == "valid" && strings.Contains(filepath.ToSlash(r.Path), c.Valid):
				valid = append(valid, r)
			}
		}
	}
	return append(rows, valid...), len(rows), train.Unseen(rows, valid)
}

// encode gives the tokens of recordings.
func (c *entropyCmd) encode(ctx context.Context, model codec.Codec, rows []train.Row) ([][]int32, error) {
	if _, err := os.Stat(c.Tokens); c.Tokens != "" && err == nil {
		return train.ReadTokens(c.Tokens, model.Info(), rows)
	}
	codes, err := train.EncodeRows(ctx, model, rows, func(n int) {
		if n%200 == 0 || n == len(rows) {
			fmt.Fprintf(os.Stderr, "%d of %d recordings encoded\n", n, len(rows))
		}
	})
	if err != nil || c.Tokens == "" {
		return codes, err
	}
	return codes, train.WriteTokens(c.Tokens, model.Info(), rows, codes)
}
