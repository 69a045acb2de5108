package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/train"
)

type asrCmd struct {
	Features     string  `required:"" placeholder:"DIR" help:"Folder that sotto-train features filled; files that come later are taken up after each validation."`
	Out          string  `required:"" placeholder:"DIR" help:"Folder of the run: checkpoint and log."`
	Resume       bool    `help:"Continue the run in the folder."`
	Init         string  `placeholder:"FILE" help:"Begin a new schedule from the weights of a checkpoint, or of a released model."`
	Steps        int     `help:"Updates in all."`
	Minutes      float64 `help:"Minutes in all; the learning rate reaches its floor then."`
	Config       string  `type:"existingfile" help:"Recipe: a JSON file over the default one, or over that of --init."`
	WarmUp       bool    `help:"Learn to rebuild altered latents (TERA), which needs no text; another run begins with --init from what comes out."`
	Lora         int     `placeholder:"RANK" help:"Train low-rank adapters alone, on all matrices, from the weights of --init; they are part of the weights afterwards."`
	Lr           float64 `help:"Peak learning rate, instead of the recipe's."`
	ValidMinutes float64 `default:"5" help:"Minutes between validations."`
	SaveMinutes  float64 `default:"5" help:"Minutes between checkpoints."`
	LogEvery     int     `default:"50" help:"Updates between lines of the log."`
	deviceFlag
}

// Help is shown with --help.
func (asrCmd) Help() string {
	return "Example:\n  sotto-train features --data speech/manifest.tsv --name speech --out runs/features --versions 3\n" +
		"  sotto-train asr --features runs/features --out runs/asr --minutes 90\n" +
		"  sotto-train asr --features runs/untold --out runs/warm --warm-up --minutes 30\n" +
		"  sotto-train asr --features runs/features --out runs/asr2 --init runs/warm/checkpoint.safetensors --minutes 90\n\n" +
		"An interrupted run writes a checkpoint; --resume goes on from it."
}

// Validate refuses a run without an end.
func (c *asrCmd) Validate() error {
	if (c.Steps > 0) == (c.Minutes > 0) {
		return errors.New("give either --steps or --minutes, so that the learning rate knows its end")
	}
	if c.Lora > 0 && c.Init == "" && !c.Resume {
		return errors.New("--lora needs --init: adapters are trained on weights that exist")
	}
	if c.WarmUp && (c.Lora > 0 || c.Init != "") {
		return errors.New("--warm-up comes before all other training: leave out --init and --lora")
	}
	if c.LogEvery < 1 {
		return errors.New("--log-every must be 1 or more")
	}
	return nil
}

// Run trains until the schedule ends or a signal comes.
func (c *asrCmd) Run(ctx context.Context) error {
	checkpoint := filepath.Join(c.Out, train.CheckpointName)
	_, err := os.Stat(checkpoint)
	switch {
	case c.Resume && err != nil:
		return fmt.Errorf("asr: nothing to resume: %w", err)
	case !c.Resume && err == nil:
		return fmt.Errorf("asr: %s exists: add --resume to go on with that run, or choose another folder", checkpoint)
	}
	recipe, err := c.recipe(checkpoint)
	if err != nil {
		return err
	}
	codec, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		return err
	}
	data, err := train.LoadTranscripts(c.Features, codec, recipe.Held)
	if err != nil {
		return err
	}
	device, err := c.open()
	if err != nil {
		return err
	}
	t, err := train.NewASR(recipe, data, device)
	if err != nil {
		return err
	}
	switch {
	case c.Resume:
		err = t.Load(checkpoint, false)
	case c.Init != "":
		err = t.Begin(c.Init)
	}
	if err != nil {
		return err
	}
	return t.Run(ctx, train.ASRRunConfig{
		Dir: c.Out, Features: c.Features, Steps: c.Steps, Time: minutes(c.Minutes),
		LogEvery: c.LogEvery, SaveEvery: minutes(c.SaveMinutes), ValidEvery: minutes(c.ValidMinutes), Progress: os.Stderr,
	})
}

func (c *asrCmd) recipe(checkpoint string) (r train.ASRConfig, err error) {
	r = train.DefaultASRConfig()
	switch {
	case c.Resume:
		r, err = train.ASRCheckpointConfig(checkpoint)
	case c.Init != "":
		r, err = train.ASRInitConfig(c.Init)
	}
	if err == nil && c.Config != "" {
		r, err = train.LoadASRConfig(r, c.Config)
	}
	if c.Lr > 0 {
		r.Schedule.Peak = c.Lr
	}
	if c.WarmUp {
		r.Rebuild = true
	}
	if c.Lora > 0 {
		r.LoRA = &train.LoRAConfig{Rank: c.Lora, Alpha: 2 * float64(c.Lora)}
	}
	return r, err
}
