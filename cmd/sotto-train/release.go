package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sotto-audio/sotto/internal/train"
)

type releaseCmd struct {
	Dir        string `arg:"" name:"run" help:"Folder of a run."`
	Name       string `default:"sotto-16k-v2" help:"Version name that files of this model carry."`
	Out        string `short:"o" placeholder:"FILE" help:"Weights file to write (.safetensors, half precision)."`
	Card       string `placeholder:"FILE" help:"Model card to write (Markdown)."`
	Repository string `placeholder:"DIR" help:"Checkout of sotto: replace the weights inside it, their card and all that is made from them (the table of hashes)."`
}

// Help is shown with --help.
func (releaseCmd) Help() string {
	return "Examples:\n  sotto-train release runs/v1 -o weights.safetensors --card card.md\n" +
		"  sotto-train release runs/v1 --repository ."
}

// Validate refuses two destinations, and none.
func (c *releaseCmd) Validate() error {
	if (c.Out == "") == (c.Repository == "") {
		return errors.New("give either --out or --repository")
	}
	return nil
}

// Run writes weights and card and prints the fingerprint.
func (c *releaseCmd) Run(ctx context.Context) error {
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
		// The table is a test's: it needs the program that has the new weights in it.
		hashes := exec.CommandContext(ctx, "go", "test", "./codec/sotto", "-run", "GivesTheCommittedBits", "-update")
		hashes.Dir, hashes.Stderr = c.Repository, os.Stderr
		if err := hashes.Run(); err != nil {
			return fmt.Errorf("release: rebuilding the table of hashes: %w", err)
		}
	}
	fmt.Println(fingerprint)
	return nil
}
