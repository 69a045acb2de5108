package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/train"
	"github.com/sotto-audio/sotto/rvq/se"
)

type seCmd struct {
	corpusFlags
	Init       string  `placeholder:"FILE" help:"Released model whose encoder and decoder to take, instead of the one inside this program."`
	Out        string  `placeholder:"DIR" help:"Folder of the run: codebooks.safetensors, model.safetensors, and the checkpoint and log of the decoder's tuning."`
	Resume     bool    `help:"Continue the tuning in the folder."`
	Recipe     string  `type:"existingfile" placeholder:"FILE" help:"How codebooks are built: a JSON file over the default recipe."`
	Paper      bool    `help:"The paper's recipe: 10,000 nodes, a threshold of 0.2, the node game on all members."`
	KMeans     bool    `name:"kmeans" help:"k-means of the sizes that come out, to compare."`
	Nodes      int     `help:"Frames of the graph, instead of the recipe's."`
	Frames     int     `default:"300000" help:"Frames that residuals and refinement see."`
	Seed       int64   `default:"1" help:"Seed of crops and levels."`
	Steps      int     `default:"600" help:"Updates of the decoder; 0 leaves it as it is."`
	Lr         float64 `default:"3e-4" help:"Peak learning rate."`
	Config     string  `type:"existingfile" placeholder:"FILE" help:"Recipe of the tuning: a JSON file over the default one."`
	Repository string  `placeholder:"DIR" help:"Checkout of sotto: replace the model that ships beside the default one, and all that is made from it (the table of hashes)."`
	deviceFlag
	Table bool `help:"Print the codebook sizes that come out of graphs of several sizes and thresholds, and quit."`
}

// Help is shown with --help.
func (seCmd) Help() string {
	return `Codebooks by structural entropy for a released model's encoder: frames become a graph, its clusters the entries, so that sizes come out of the data. Then the decoder is tuned to them. The model written shares all other weights with the one it began from.

Examples:
  sotto-train se --data speech/manifest.tsv --out runs/se
  sotto-train se --data speech/manifest.tsv --out runs/paper --paper --steps 0
  sotto-train se --data speech/manifest.tsv --table
  sotto encode --model runs/se/model.safetensors talk.wav talk.sotto`
}

// Validate refuses what does not go together.
func (c *seCmd) Validate() error {
	switch {
	case c.Table == (c.Out != ""):
		return errors.New("give either --out or --table")
	case c.Repository != "" && (c.Init != "" || c.Table):
		return errors.New("--repository goes with the model inside this program, and with --out")
	case c.Steps < 0 || c.Frames < 1:
		return errors.New("--steps must not be negative, --frames must be 1 or more")
	}
	return nil
}

func (c *seCmd) recipe() (r se.Recipe, err error) {
	r = se.DefaultRecipe()
	if c.Paper {
		r = se.PaperRecipe()
	}
	if c.Recipe != "" {
		data, err := os.ReadFile(c.Recipe)
		if err != nil {
			return r, err
		}
		if err := json.Unmarshal(data, &r); err != nil {
			return r, fmt.Errorf("recipe %s: %w", c.Recipe, err)
		}
	}
	if c.Nodes > 0 {
		r.Nodes = c.Nodes
	}
	r.KMeans = r.KMeans || c.KMeans
	return r, r.Validate()
}

// Run builds codebooks and tunes the decoder.
func (c *seCmd) Run(ctx context.Context) error {
	base := sotto.Released()
	if c.Init != "" {
		var err error
		if base, err = os.ReadFile(c.Init); err != nil {
			return err
		}
	}
	r, err := c.recipe()
	if err != nil {
		return err
	}
	model, _, err := native.Unmarshal(base)
	if err != nil {
		return err
	}
	config := train.DefaultTuneConfig()
	if c.Config != "" {
		if config, err = train.LoadCodecConfig(c.Config); err != nil {
			return err
		}
	}
	config.Seed, config.Schedule.Peak, config.Model = c.Seed, c.Lr, model.Network.Config
	corpus, valid, err := c.load(model.Network.SampleRate)
	if err != nil {
		return err
	}
	if c.Table {
		return c.table(ctx, model, corpus, r)
	}
	if err := os.MkdirAll(c.Out, 0o777); err != nil {
		return err
	}
	built, err := c.codebooks(ctx, base, model, corpus, r, config.Augment)
	if err != nil {
		return err
	}
	if c.Steps > 0 {
		device, err := c.open()
		if err != nil {
			return err
		}
		t, err := train.NewTuner(config, built, corpus, device)
		if err != nil {
			return err
		}
		checkpoint := filepath.Join(c.Out, train.CheckpointName)
		if _, err := os.Stat(checkpoint); c.Resume && err == nil { // else it ended before the tuning
			if err := t.Load(checkpoint); err != nil {
				return err
			}
		}
		if err := t.Run(ctx, train.RunConfig{
			Dir: c.Out, Steps: c.Steps, LogEvery: 25, SaveEvery: minutes(2), ValidEvery: minutes(60), Valid: valid, Progress: os.Stderr,
		}); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted after %d of %d updates: add --resume to go on", t.Step, c.Steps)
		}
		if err := t.WithAverage(func() error { return c.write("model.safetensors", t.Checkpoint(built.Name)) }); err != nil {
			return err
		}
	} else if err := c.write("model.safetensors", built); err != nil {
		return err
	}
	if c.Repository == "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(c.Out, "model.safetensors"))
	if err != nil {
		return err
	}
	if err := train.WriteFile(filepath.Join(c.Repository, "codec", "sotto", "weights", built.Name+".safetensors"), data); err != nil {
		return err
	}
	return rehash(ctx, c.Repository, "GivesTheCommittedBits")
}

// codebooks builds the codebooks, or reads those of a run that is resumed.
func (c *seCmd) codebooks(ctx context.Context, base []byte, model *native.Checkpoint, corpus *train.Corpus, r se.Recipe, augment train.Augment) (*native.Checkpoint, error) {
	path := filepath.Join(c.Out, "codebooks.safetensors")
	data, err := os.ReadFile(path)
	switch {
	case c.Resume && err != nil:
		return nil, fmt.Errorf("nothing to resume: %w", err)
	case c.Resume:
		built, _, err := native.Unmarshal(data, base)
		return built, err
	case err == nil:
		return nil, fmt.Errorf("%s exists: add --resume to go on with that run, or choose another folder", path)
	}
	begin := time.Now()
	// On the processor whatever the device: codebooks are the same everywhere.
	latents, err := train.Latents(model.Network, corpus, augment, c.Frames, uint64(c.Seed), device())
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "%d frames encoded in %s\n", c.Frames, time.Since(begin).Round(time.Second))
	built, err := train.BuildSE(ctx, base, latents, r, func(group int, e se.Event) {
		took := time.Since(begin).Round(time.Second)
		if e.Done {
			fmt.Fprintf(os.Stderr, "group %d level %d: %d entries, leaves %.1f %% of the energy  %s\n", group, e.Level+1, e.Size, 100*e.Error, took)
			return
		}
		fmt.Fprintf(os.Stderr, "group %d level %d: %d clusters to %d in groups of %d  %s\n", group, e.Level+1, e.Pass.Before, e.Pass.After, e.Pass.Group, took)
	})
	if err != nil {
		return nil, err
	}
	return built, c.write("codebooks.safetensors", built)
}

// write puts a model into the folder of the run; one that does not come from the
// model inside the program is written whole.
func (c *seCmd) write(name string, model *native.Checkpoint) error {
	m := *model
	if c.Init != "" {
		m.Base = nil
	}
	data, err := m.Marshal(true)
	if err != nil {
		return err
	}
	path := filepath.Join(c.Out, name)
	if err := train.WriteFile(path, data); err != nil {
		return err
	}
	loaded, err := sotto.Load(data)
	if err != nil {
		return err
	}
	info := loaded.Info()
	fmt.Printf("%s: %s (%s), codebooks of %v, %.1f MB\n", path, info.Name, info.Fingerprint, info.CodebookSizes, float64(len(data))/1e6)
	return nil
}

// table prints sizes of the first level's codebook.
func (c *seCmd) table(ctx context.Context, model *native.Checkpoint, corpus *train.Corpus, r se.Recipe) error {
	nodes := []int{2500, 5000, 10_000, 20_000}
	latents, err := train.Latents(model.Network, corpus, train.Augment{}, nodes[len(nodes)-1], uint64(c.Seed), device())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name string, change func(r *se.Recipe)) error {
		fmt.Fprint(w, name)
		for _, n := range nodes {
			r := r
			r.Nodes = n
			change(&r)
			begin := time.Now()
			clusters, err := se.Sizes(ctx, latents, model.Network.Quantizer.Dim, r)
			if err != nil {
				return err
			}
			alone := 0
			for _, n := range clusters {
				if n == 1 {
					alone++
				}
			}
			fmt.Fprintf(w, "\t%d (%d alone, largest %d, %.1f s)", len(clusters), alone, clusters[0], time.Since(begin).Seconds())
		}
		fmt.Fprintln(w)
		return nil
	}
	fmt.Fprint(w, "EDGES")
	for _, n := range nodes {
		fmt.Fprintf(w, "\t%d NODES", n)
	}
	fmt.Fprintln(w)
	for t := 1; t <= 6; t++ {
		if err := row(fmt.Sprintf("cosine above 0.%d", t), func(r *se.Recipe) {
			r.Edges, r.Neighbours = se.Edges{Threshold: float32(t) / 10}, 0
		}); err != nil {
			return err
		}
	}
	for _, k := range []int{3, 4, 6, 8, 16} {
		if err := row(fmt.Sprintf("%d nearest", k), func(r *se.Recipe) { r.Edges, r.Neighbours = se.Edges{}, k }); err != nil {
			return err
		}
	}
	return w.Flush()
}
