package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/published"
	"github.com/sotto-audio/sotto/internal/transcode"
)

type modelsCmd struct {
	List    modelsListCmd    `cmd:"" default:"withargs" help:"List the models inside this program."`
	Pull    modelsPullCmd    `cmd:"" help:"Bring the weights of a published model."`
	Convert modelsConvertCmd `cmd:"" help:"Write a published checkpoint as one self-describing safetensors file."`
}

type modelsListCmd struct {
	JSON bool `name:"json" help:"Print one JSON array."`
}

// Help is shown by --help.
func (modelsCmd) Help() string {
	return `Examples:
  sotto models
  sotto models list --json
  sotto models pull mimi
  sotto models convert encodec_24khz.th encodec-24khz.safetensors`
}

// Help is shown by --help.
func (modelsListCmd) Help() string { return modelsCmd{}.Help() }

// Run is called by kong.
func (c *modelsListCmd) Run(s *session) error {
	var all []description
	t := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tRATE\tKBIT/S\tLATENCY\tPARAMETERS\tFINGERPRINT\t")
	for _, quantizer := range quantizers {
		model, err := inside(quantizer)
		if err != nil {
			return err
		}
		note := "default"
		if quantizer != quantizerGRVQ {
			note = "--quantizer " + quantizer
		}
		i := model.Info()
		all = append(all, describeModel(i))
		fmt.Fprintf(t, "%s\t%d Hz\t%s\t%v\t%.2f M\t%s\t%s\n", i.Name, i.SampleRate, transcode.Steps(i), i.Latency, float64(i.Parameters)/1e6, i.Fingerprint, note)
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(all)
	}
	return t.Flush()
}

type modelsConvertCmd struct {
	In    string `arg:"" help:"Checkpoint as its makers published it, with its configuration beside it, or the folder of both."`
	Out   string `arg:"" help:"Safetensors file."`
	Force bool   `short:"f" help:"Replace an existing file."`
}

// Help is shown by --help.
func (modelsConvertCmd) Help() string {
	return `The file holds the arrays that the model uses under their own names, with family, name and configuration in its metadata. It loads by memory map, without the configuration beside it. --model takes the original just as well.

Examples:
  sotto models convert encodec_24khz.th encodec-24khz.safetensors
  sotto models convert HiFi-Codec-16k-320d/ hificodec.safetensors`
}

// Validate refuses names that mislead.
func (c *modelsConvertCmd) Validate() error {
	if !strings.EqualFold(filepath.Ext(c.Out), ".safetensors") {
		return errors.New("OUT must end in .safetensors")
	}
	return nil
}

// Run is called by kong.
func (c *modelsConvertCmd) Run(s *session) error {
	if err := distinct(c.In, c.Out); err != nil {
		return err
	}
	out, err := create(s.ctx, c.Out, c.Force)
	if err != nil {
		return err
	}
	defer out.discard()
	model, err := published.Convert(out, c.In)
	if err != nil {
		return fmt.Errorf("%s: %w", c.In, err)
	}
	if err := out.commit(); err != nil {
		return err
	}
	i := model.Info()
	fmt.Fprintf(s.stdout, "%s: %s, %.2f M parameters, %sfingerprint %s\n", c.Out, i.Name, float64(i.Parameters)/1e6, bitrates(i), i.Fingerprint)
	return nil
}

// bitrates is the part of a sentence that names a model's bitrates; a vocoder has none.
func bitrates(i codec.Info) string {
	if len(i.Bitrates) == 0 {
		return ""
	}
	return transcode.Steps(i) + " kbit/s, "
}
