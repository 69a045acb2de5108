package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/tokeneval"
)

type evalTokensCmd struct {
	modelFlag
	Data    string `placeholder:"TSV" help:"Manifest with the columns path and split, for probes speaker and text; $$SOTTO_DATA/speech/manifest.tsv by default."`
	Split   string `default:"valid" help:"Rows to measure, by their split."`
	Source  string `placeholder:"NAME" help:"Rows to measure, by the first folder of their path."`
	Learn   string `default:"train" help:"Rows, by their split, from which n-grams, tables and probes learn."`
	Packet  int    `placeholder:"MS" help:"Length of a packet for the bits; about 1000 by default."`
	Threads int    `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	JSON    bool   `name:"json" help:"Print one JSON object."`
}

// Help is shown by --help.
func (evalTokensCmd) Help() string {
	return `What a language model finds in the tokens. For each codebook: use, entropy, and the perplexity of n-grams that learned from the --learn rows; the same for all codebooks in the order of each layout of sotto tokenize. Then what codebooks know of each other in bits, how many codes a shift, noise or a gain leaves as they are, how well a linear classifier names the speaker and tells which words are spoken (from how often each code occurs, on rows of --learn that it did not learn from), and the bits of a token as it is, by tables, and by the network of sotto encode --entropy, in packets that know nothing of each other.

Examples:
  sotto eval tokens --source librispeech
  sotto eval tokens --data speech/manifest.tsv --split test --json`
}

// Validate refuses numbers out of range.
func (c *evalTokensCmd) Validate() error {
	if c.Threads < 0 || c.Packet < 0 {
		return errors.New("--threads and --packet must not be negative")
	}
	if c.Split == c.Learn {
		return errors.New("--split and --learn must differ: what was learned from says nothing about other speech")
	}
	return nil
}

// Run is called by kong.
func (c *evalTokensCmd) Run(s *session) error {
	useThreads(c.Threads)
	path, err := dataManifest(c.Data)
	if err != nil {
		return err
	}
	rows, err := tokeneval.ReadManifest(path, "")
	if err != nil {
		if os.IsNotExist(err) {
			return missing(path)
		}
		return err
	}
	tests, err := tokeneval.ReadManifest(path, c.Source)
	if err != nil {
		return err
	}
	of := func(split string) func(tokeneval.Row) bool {
		return func(r tokeneval.Row) bool { return r.Split != split }
	}
	rows, tests = slices.DeleteFunc(rows, of(c.Learn)), slices.DeleteFunc(tests, of(c.Split))
	if len(rows) == 0 || len(tests) == 0 {
		return fmt.Errorf("%s: no row has split %q, or none %q with source %q: choose others with --learn, --split and --source", path, c.Learn, c.Split, c.Source)
	}
	model, err := c.load()
	if err != nil {
		return err
	}
	bars := &stages{progress: newProgress(s.stderr)}
	defer bars.end()
	learned, err := tokeneval.Encode(s.ctx, model, rows, runtime.GOMAXPROCS(0), func(n int) { bars.stage("recordings", n, len(rows)) })
	if err != nil {
		return err
	}
	info := model.Info()
	var sounds []tokeneval.Sound
	for _, r := range tests {
		pcm, err := audio.ReadMono(r.Path, info.SampleRate)
		if err != nil {
			return err
		}
		sounds = append(sounds, tokeneval.Sound{PCM: pcm, Speaker: r.Speaker, Text: r.Text})
	}
	o := tokeneval.Options{}
	if c.Packet > 0 {
		o.PacketFrames = max(1, c.Packet*info.SampleRate/(1000*info.HopLength))
	}
	report, err := tokeneval.Evaluate(s.ctx, model, learned, sounds, o, bars.stage)
	bars.end()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(report)
	}
	return printTokens(s.stdout, report)
}

// stages shows one bar after the other. Its stage may be called side by side.
type stages struct {
	*progress
	mu     sync.Mutex
	name   string
	report func(int64)
	close  func()
}

func (b *stages) stage(name string, n, total int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name != b.name {
		b.stop()
		b.name = name
		b.report, b.close = b.task(name, int64(total))
	}
	b.report(int64(n))
}

func (b *stages) stop() {
	if b.close != nil {
		b.close()
		b.close = nil
	}
}

func (b *stages) end() {
	b.stop()
	b.wait()
}

func printTokens(w io.Writer, r *tokeneval.Report) error {
	fmt.Fprintf(w, "%s (%s), %d clips, %s; learned from %s\n\n", r.Model, r.Fingerprint, r.Clips, duration(r.Seconds), duration(r.Learned))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CODEBOOK\tUSED\tENTROPY\tREPEATS\tPERPLEXITY BY ITSELF\tAFTER 1 CODE\tAFTER 2")
	for q, b := range r.Codebooks {
		fmt.Fprintf(t, "%d\t%.1f %% of %d\t%.2f bits\t%.1f %%", q, 100*b.Used, b.Size, b.Entropy, 100*b.Repeats)
		for _, p := range b.Ngrams {
			fmt.Fprintf(t, "\t%.0f", p.Value)
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintln(t, "\nLAYOUT\tPERPLEXITY OF 1-GRAMS\t2-GRAMS\t3-GRAMS")
	for _, name := range []string{"parallel", "flat", "delay", "coarse"} {
		fmt.Fprint(t, name)
		for _, p := range r.Layouts[name] {
			fmt.Fprintf(t, "\t%.0f", p.Value)
		}
		fmt.Fprintln(t)
	}
	table := func(title string, pick func(i tokeneval.Information) float64) {
		fmt.Fprintf(t, "\n%s", title)
		for q := range r.Codebooks {
			fmt.Fprintf(t, "\t%d", q)
		}
		fmt.Fprintln(t, "\tITSELF A FRAME AGO")
		for i, row := range r.Within {
			fmt.Fprintf(t, "%d", i)
			for j, v := range row {
				if j <= i {
					fmt.Fprint(t, "\t")
					continue
				}
				fmt.Fprintf(t, "\t%.2f", pick(v))
			}
			fmt.Fprintf(t, "\t%.2f\n", pick(r.Before[i]))
		}
	}
	table("BITS SHARED (by counts)", func(i tokeneval.Information) float64 { return i.Plain })
	table("BITS SAVED (by tables)", func(i tokeneval.Information) float64 { return i.Held })
	fmt.Fprint(t, "\nCODES LEFT AS THEY ARE BY")
	for q := range r.Codebooks {
		fmt.Fprintf(t, "\t%d", q)
	}
	fmt.Fprintln(t)
	for _, s := range r.Stability {
		fmt.Fprint(t, strings.ReplaceAll(s.Disturbance, "_", " "))
		for _, v := range s.Same {
			fmt.Fprintf(t, "\t%.0f %%", 100*v)
		}
		fmt.Fprintln(t)
	}
	probe := func(title string, p *tokeneval.Probe, of string) {
		if p == nil {
			fmt.Fprintf(t, "\n%s: the rows have too few labels\n", title)
			return
		}
		fmt.Fprintf(t, "\n%s\tCHANCE", title)
		for q := range p.Codebook {
			fmt.Fprintf(t, "\t%d", q)
		}
		fmt.Fprintf(t, "\tALL\n%d %s, %d recordings\t%.3f", p.Classes, of, p.Tested, p.Chance)
		for _, v := range append(slices.Clone(p.Codebook), p.All) {
			fmt.Fprintf(t, "\t%.3f", v)
		}
		fmt.Fprintln(t)
	}
	probe("SPEAKER NAMED", r.Leakage.Speaker, "speakers")
	probe("WORD HEARD (ROC AREA)", r.Leakage.Content, "words")
	if len(r.Rates) > 0 {
		fmt.Fprintln(t, "\nKBIT/S\tBITS A TOKEN\tBY TABLES\tBY THE NETWORK\tSAVED")
		for _, v := range r.Rates {
			fmt.Fprintf(t, "%g\t%.2f\t%.2f\t%.2f\t%.1f %%\n", v.Kbps, v.Packed, v.Static, v.Adaptive, 100*v.Saved)
		}
		fmt.Fprintf(t, "packets of %d frames, network %s\n", r.PacketSize, r.Entropy)
	} else {
		fmt.Fprintln(t, "\nThere is no entropy coder for this model.")
	}
	return t.Flush()
}
