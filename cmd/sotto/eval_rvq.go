package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/internal/quality"
)

type evalRVQCmd struct {
	modelFlag
	Data       string  `placeholder:"TSV" help:"Manifest with the columns path and split; $$SOTTO_DATA/speech/manifest.tsv by default."`
	Split      string  `default:"valid" help:"Rows to use, by their split; \"\" is all."`
	Source     string  `placeholder:"NAME" help:"Rows to use, by the first folder of their path."`
	MaxSeconds float64 `placeholder:"S" help:"Use no more than the first S seconds of each clip."`
	Threads    int     `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	JSON       bool    `name:"json" help:"Print one JSON object."`
	Histogram  string  `placeholder:"PNG" help:"Draw how often the codes of each codebook appear."`
	Map        string  `placeholder:"PNG" help:"Draw the entries of a codebook on their two principal components."`
	Codebook   int     `default:"0" placeholder:"N" help:"With --map, the codebook; the first by default."`
	Force      bool    `short:"f" help:"Replace existing pictures."`
}

// Help is shown by --help.
func (evalRVQCmd) Help() string {
	return `For each codebook: its size, the share of entries in use, perplexity, entropy of a token in bits, what all codebooks so far leave of the energy of the encoder's frames, and the share of frames that keep their token when the sound is shifted by 0.25, 1 or 5 ms, or gets white noise 50, 40 or 30 dB below its level.

Examples:
  sotto eval rvq --source librispeech
  sotto eval rvq --quantizer se --histogram codes.png --map codebook.png
  sotto eval rvq --data speech/manifest.tsv --split test --json`
}

// Validate refuses numbers out of range.
func (c *evalRVQCmd) Validate() error {
	if c.Threads < 0 || c.MaxSeconds < 0 || c.Codebook < 0 {
		return errors.New("--threads, --max-seconds and --codebook must not be negative")
	}
	return nil
}

// Run is called by kong.
func (c *evalRVQCmd) Run(s *session) error {
	useThreads(c.Threads)
	_, clips, err := clipsOf(c.Data, c.Split, c.Source)
	if err != nil {
		return err
	}
	model, err := c.load()
	if err != nil {
		return err
	}
	latent, open := model.(quality.Latent)
	info := model.Info()
	if c.Map != "" {
		if !open {
			return fmt.Errorf("--map: %s does not show its codebooks", info.Name)
		}
		if c.Codebook >= info.Codebooks() {
			return &usageError{fmt.Errorf("--codebook %d: %s has 0 to %d", c.Codebook, info.Name, info.Codebooks()-1)}
		}
	}
	var pictures []*output
	for _, path := range []string{c.Histogram, c.Map} {
		var file *output
		if path != "" {
			if file, err = create(s.ctx, path, c.Force); err != nil {
				return err
			}
			defer file.discard()
		}
		pictures = append(pictures, file)
	}
	bars := newProgress(s.stderr)
	report, end := bars.task("clips", int64(len(clips)))
	r, err := quality.EvaluateQuantizer(s.ctx, model, clips, c.MaxSeconds, runtime.GOMAXPROCS(0), report)
	end()
	bars.wait()
	if err != nil {
		return err
	}
	for i, draw := range []func(io.Writer) error{
		func(w io.Writer) error { return quality.PlotHistogram(w, r) },
		func(w io.Writer) error {
			entries, dim := latent.Codebook(c.Codebook)
			return quality.PlotMap(w, r, c.Codebook, entries, dim)
		},
	} {
		if pictures[i] == nil {
			continue
		}
		if err := draw(pictures[i]); err != nil {
			return err
		}
		if err := pictures[i].commit(); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(r)
	}
	return printQuantizer(s.stdout, r)
}

func printQuantizer(w io.Writer, r *quality.QuantizerReport) error {
	fmt.Fprintf(w, "%s (%s), %d clips, %s, %d frames\n\n", r.Model, r.Fingerprint, r.Clips, duration(r.Seconds), r.Frames)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "CODEBOOK\tSIZE\tUSED\tPERPLEXITY\tENTROPY\tERROR")
	for _, d := range r.Disturbances {
		fmt.Fprint(t, "\t"+strings.ToUpper(strings.ReplaceAll(d, "_", " ")))
	}
	fmt.Fprintln(t)
	var bits, entropy float64
	for i, b := range r.Codebooks {
		bits += b.Bits
		entropy += b.Entropy
		left := "-"
		if b.Error != nil {
			left = fmt.Sprintf("%.1f %%", 100**b.Error)
		}
		fmt.Fprintf(t, "%d\t%d\t%.1f %%\t%.0f\t%.2f of %.2f bits\t%s", i, b.Size, 100*b.Used, b.Perplexity, b.Entropy, b.Bits, left)
		for _, d := range r.Disturbances {
			fmt.Fprintf(t, "\t%.1f %%", 100*b.Stability[d])
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\na frame: %.1f bits, of which each codebook's own statistics need %.1f\n", bits, entropy)
	return err
}
