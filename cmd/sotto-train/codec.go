package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sotto-audio/sotto/internal/train"
)

type codecCmd struct {
	corpusFlags
	Out          string  `required:"" placeholder:"DIR" help:"Folder of the run: checkpoint and log."`
	Resume       bool    `help:"Continue the run in the folder."`
	Init         string  `placeholder:"FILE" help:"Begin a new schedule from the weights of a checkpoint, or of a released model; there the recipe may have another quantizer, which starts anew."`
	Steps        int     `help:"Updates in all."`
	Minutes      float64 `help:"Minutes in all; the learning rate reaches its floor then."`
	Config       string  `type:"existingfile" help:"Recipe: a JSON file over the default one."`
	Batch        int     `help:"Crops of an update, instead of the recipe's."`
	Lr           float64 `help:"Peak learning rate, instead of the recipe's."`
	Average      float64 `help:"Decay of the average of weights, instead of the recipe's."`
	ValidMinutes float64 `default:"5" help:"Minutes between validations."`
	SaveMinutes  float64 `default:"5" help:"Minutes between checkpoints."`
	LogEvery     int     `default:"25" help:"Updates between lines of the log."`
	deviceFlag
}

// Help is shown with --help.
func (codecCmd) Help() string {
	return "Example:\n  sotto-train codec --data speech/manifest.tsv --out runs/v1 --minutes 90\n\n" +
		"An interrupted run writes a checkpoint; --resume goes on from it."
}

// Validate refuses a run without an end.
func (c *codecCmd) Validate() error {
	if (c.Steps > 0) == (c.Minutes > 0) {
		return errors.New("give either --steps or --minutes, so that the learning rate knows its end")
	}
	if c.LogEvery < 1 {
		return errors.New("--log-every must be 1 or more")
	}
	return nil
}

// Run trains until the schedule ends or a signal comes.
func (c *codecCmd) Run(ctx context.Context) error {
	checkpoint := filepath.Join(c.Out, train.CheckpointName)
	_, err := os.Stat(checkpoint)
	switch {
	case c.Resume && err != nil:
		return fmt.Errorf("codec: nothing to resume: %w", err)
	case !c.Resume && err == nil:
		return fmt.Errorf("codec: %s exists: add --resume to go on with that run, or choose another folder", checkpoint)
	}
	recipe, err := c.recipe(checkpoint)
	if err != nil {
		return err
	}
	corpus, valid, err := c.load(recipe.Model.SampleRate)
	if err != nil {
		return err
	}
	device, err := c.open()
	if err != nil {
		return err
	}
	t, err := train.NewCodec(recipe, corpus, device)
	if err != nil {
		return err
	}
	switch {
	case c.Resume:
		err = t.Load(checkpoint)
	case c.Init != "":
		err = t.Begin(c.Init)
	default:
		err = t.Start()
	}
	if err != nil {
		return err
	}
	return t.Run(ctx, train.RunConfig{
		Dir: c.Out, Steps: c.Steps, Time: minutes(c.Minutes),
		LogEvery: c.LogEvery, SaveEvery: minutes(c.SaveMinutes), ValidEvery: minutes(c.ValidMinutes),
		Valid: valid, Progress: os.Stderr,
	})
}

func (c *codecCmd) recipe(checkpoint string) (r train.CodecConfig, err error) {
	switch {
	case c.Config != "":
		r, err = train.LoadCodecConfig(c.Config)
	case c.Resume:
		r, err = train.CheckpointConfig(checkpoint)
	case c.Init != "":
		if r, err = train.CheckpointConfig(c.Init); err != nil {
			err = fmt.Errorf("%w (a released model needs --config: its card holds the recipe)", err)
		}
	default:
		r = train.DefaultCodecConfig()
	}
	if c.Batch > 0 {
		r.Batch = c.Batch
	}
	if c.Lr > 0 {
		r.Schedule.Peak = c.Lr
	}
	if c.Average > 0 {
		r.Average = c.Average
	}
	return r, err
}

func minutes(m float64) time.Duration { return time.Duration(m * float64(time.Minute)) }
