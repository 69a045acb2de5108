package main

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/train"
)

type releaseCmd struct {
	Dir  string `arg:"" name:"run" help:"Folder of a run."`
	Name string `default:"sotto-16k-v1" help:"Version name that files of this model carry."`
	Out  string `short:"o" required:"" placeholder:"FILE" help:"Weights file to write (.safetensors, half precision)."`
	Card string `placeholder:"FILE" help:"Model card to write (Markdown)."`
}

// Help is shown with --help.
func (releaseCmd) Help() string {
	return "Example:\n  sotto-train release runs/v1 -o weights.safetensors --card card.md"
}

// Run writes weights and card and prints the fingerprint.
func (c *releaseCmd) Run() error {
	fingerprint, err := train.Release(c.Dir, c.Name, c.Out, c.Card, device())
	if err != nil {
		return err
	}
	fmt.Println(fingerprint)
	return nil
}
