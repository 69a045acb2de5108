package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sotto-audio/sotto/internal/recognizer"
	"github.com/sotto-audio/sotto/internal/train"
)

type releaseCmd struct {
	Dir        string   `arg:"" name:"run" help:"Folder of a run."`
	Name       string   `help:"Version name that files of this model carry; sotto-16k-v2 for a codec, sotto-asr-en-v1 for a recogniser."`
	Out        string   `short:"o" placeholder:"FILE" help:"Weights file to write (.safetensors, half precision)."`
	Card       string   `placeholder:"FILE" help:"Model card to write (Markdown)."`
	Search     string   `type:"existingfile" placeholder:"FILE" help:"Of a recogniser: what was measured for decoding (JSON); search.json beside its weights in a repository."`
	Mix        string   `type:"existingfile" placeholder:"FILE" help:"Of a recogniser: released model that it was trained further from, and that keeps --mix-share of the weights."`
	MixShare   float64  `placeholder:"0.2" help:"Share of --mix, 0 to 1."`
	Repository string   `placeholder:"DIR" help:"Checkout of sotto: replace the weights inside it, their card and all that is made from them (the table of hashes, and with --data the entropy coder)."`
	Data       []string `placeholder:"MANIFEST" help:"With --repository and a codec, recordings from which its entropy coder is trained anew (see sotto-train entropy). Repeatable."`
}

// Help is shown with --help.
func (releaseCmd) Help() string {
	return "Examples:\n  sotto-train release runs/v1 -o weights.safetensors --card card.md\n" +
		"  sotto-train release runs/v1 --repository . --data speech/manifest.tsv"
}

// Validate refuses two destinations, and none.
func (c *releaseCmd) Validate() error {
	if (c.Out == "") == (c.Repository == "") {
		return errors.New("give either --out or --repository")
	}
	if c.MixShare < 0 || c.MixShare > 1 || (c.Mix == "") != (c.MixShare == 0) {
		return errors.New("--mix and --mix-share go together, the share from 0 to 1")
	}
	if c.Repository == "" && len(c.Data) > 0 {
		return errors.New("--data goes with --repository")
	}
	return nil
}

// Run writes weights and card and prints the fingerprint.
func (c *releaseCmd) Run(ctx context.Context) error {
	if train.IsASR(c.Dir) {
		return c.recogniser()
	}
	if c.Name == "" {
		c.Name = "sotto-16k-v2"
	}
	if c.Repository != "" {
		weights := filepath.Join(c.Repository, "codec", "sotto", "weights")
		c.Out = filepath.Join(weights, c.Name+".safetensors")
		c.Card = filepath.Join(weights, c.Name+".md")
	}
	fingerprint, err := train.Release(c.Dir, c.Name, c.Out, c.Card, device())
	if err != nil {
		return err
	}
	if c.Repository != "" {
		if err := rehash(ctx, c.Repository, "GivesTheCommittedBits"); err != nil {
			return fmt.Errorf("%w (codebooks by structural entropy belong to the weights they were built on: sotto-train se --repository)", err)
		}
		if len(c.Data) > 0 {
			if err := (&entropyCmd{Data: c.Data, Repository: c.Repository, Valid: "librispeech"}).Run(ctx); err != nil {
				return err
			}
		}
	}
	fmt.Println(fingerprint)
	return nil
}

// recogniser writes the weights of a recogniser and prints the fingerprint.
func (c *releaseCmd) recogniser() error {
	if c.Name == "" {
		c.Name = "sotto-asr-en-v1"
	}
	if c.Repository != "" {
		folder := filepath.Join(c.Repository, "asr", "sotto", "weights")
		c.Out = filepath.Join(folder, c.Name+".safetensors")
		if c.Search == "" {
			c.Search = filepath.Join(folder, "search.json")
		}
	}
	search := recognizer.Search{Languages: "en"}
	if c.Search != "" {
		data, err := os.ReadFile(c.Search)
		if err == nil {
			err = json.Unmarshal(data, &search)
		}
		if err != nil {
			return fmt.Errorf("release: %s: %w", c.Search, err)
		}
	}
	fingerprint, err := train.ReleaseASR(c.Dir, c.Name, c.Out, search, train.Mix{Path: c.Mix, Share: c.MixShare}, device())
	if err == nil {
		fmt.Println(fingerprint)
	}
	return err
}

// rehash rebuilds the table of hashes that a test of the codec compares with: it
// needs the program that has the new weights in it.
func rehash(ctx context.Context, repository, test string) error {
	hashes := exec.CommandContext(ctx, "go", "test", "./codec/sotto", "-run", test, "-update")
	hashes.Dir, hashes.Stdout, hashes.Stderr = repository, os.Stderr, os.Stderr
	if err := hashes.Run(); err != nil {
		return fmt.Errorf("rebuilding the table of hashes: go test -run %s: %w", test, err)
	}
	return nil
}
