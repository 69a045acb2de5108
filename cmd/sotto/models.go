package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/internal/transcode"
)

type modelsCmd struct {
	List modelsListCmd `cmd:"" default:"withargs" help:"List the models inside this program."`
}

type modelsListCmd struct {
	JSON bool `name:"json" help:"Print one JSON array."`
}

// Help is shown by --help.
func (modelsCmd) Help() string {
	return `Examples:
  sotto models
  sotto models list --json`
}

// Help is shown by --help.
func (modelsListCmd) Help() string { return modelsCmd{}.Help() }

// Run is called by kong.
func (c *modelsListCmd) Run(s *session) error {
	model, err := embedded()
	if err != nil {
		return err
	}
	i := model.Info()
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode([]description{describeModel(i)})
	}
	t := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tRATE\tKBIT/S\tLATENCY\tPARAMETERS\tFINGERPRINT\t")
	fmt.Fprintf(t, "%s\t%d Hz\t%s\t%v\t%.2f M\t%s\tdefault\n", i.Name, i.SampleRate, transcode.Steps(i), i.Latency, float64(i.Parameters)/1e6, i.Fingerprint)
	return t.Flush()
}
