package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/train"
)

type featuresCmd struct {
	Data     []string `placeholder:"MANIFEST" help:"Manifests of recordings (tab-separated: path, split, speaker, lang, text). Repeatable."`
	NoSpeech int      `placeholder:"N" help:"Signals without speech to make: silence, noise, music."`
	Out      string   `required:"" placeholder:"DIR" help:"Folder of the features; files that are there stay."`
	Name     string   `required:"" help:"Name of this set of recordings; its files begin with it."`
	Source   string   `help:"Call all recordings so, instead of by the first part of their paths."`
	Only     []string `help:"Sources to take, all where none are given."`
	Split    []string `default:"train,valid" help:"Splits to take."`
	From     int      `help:"First version: 0 as recorded, others augmented."`
	Versions int      `default:"1" help:"Versions to make."`
	PerFile  int      `default:"64" help:"Recordings in a file."`
}

// Help is shown with --help.
func (featuresCmd) Help() string {
	return "Example:\n  sotto-train features --data speech/manifest.tsv --name speech --out runs/features --versions 3"
}

// Validate refuses a command without recordings.
func (c *featuresCmd) Validate() error {
	if len(c.Data) == 0 && c.NoSpeech == 0 {
		return errors.New("give --data or --no-speech")
	}
	if c.Versions < 1 || c.From < 0 || c.PerFile < 1 {
		return errors.New("--versions and --per-file must be 1 or more, --from not below 0")
	}
	return nil
}

// Run writes the features.
func (c *featuresCmd) Run(ctx context.Context) error {
	var rows []train.Spoken
	for _, path := range c.Data {
		all, err := train.ReadSpoken(path)
		if err != nil {
			return err
		}
		rows = append(rows, all...)
	}
	rows = slices.DeleteFunc(rows, func(s train.Spoken) bool {
		return !slices.Contains(c.Split, s.Split) || len(c.Only) > 0 && !slices.Contains(c.Only, s.Source)
	})
	rows = append(rows, train.NoSpeech(c.NoSpeech)...)
	if c.Source != "" {
		for i := range rows {
			rows[i].Source = c.Source
		}
	}
	model, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		return err
	}
	config := train.FeatureConfig{Dir: c.Out, Name: c.Name, PerFile: c.PerFile, Progress: os.Stderr}
	for v := range c.Versions {
		config.Versions = append(config.Versions, c.From+v)
	}
	fmt.Fprintf(os.Stderr, "%d recordings, %d versions\n", len(rows), c.Versions)
	return train.WriteFeatures(ctx, config, rows, model)
}
