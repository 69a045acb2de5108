package main

import (
	"github.com/sotto-audio/sotto/internal/train"
)

type plotCmd struct {
	Log string `arg:"" help:"Log of a run (log.jsonl)."`
	Out string `short:"o" default:"training.png" help:"PNG picture to write."`
}

// Help is shown with --help.
func (plotCmd) Help() string { return "Example:\n  sotto-train plot runs/v1/log.jsonl -o v1.png" }

// Run draws losses and validation scores.
func (c *plotCmd) Run() error { return train.Plot(c.Log, c.Out) }
