package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/transcode"
	"github.com/sotto-audio/sotto/tokenizer"
)

// layoutFlags choose the vocabulary.
type layoutFlags struct {
	Layout string `placeholder:"NAME" help:"Order of the ids: parallel [T][Q], flat, delay, coarse, and for one codebook units or runs; parallel by default, flat for text."`
	Base   int    `placeholder:"ID" help:"First id of flat, coarse and units, as where a text vocabulary ends."`
	Ends   bool   `help:"Begin each sequence with bos and end it with eos."`
	Prefix string `default:"a" help:"Of text tokens: \"a\" gives <|a_123|>."`
	Groups int    `placeholder:"N" help:"Codebooks of one residual level, which delay and coarse keep together; as the bitrate steps by default."`
}

// vocabulary makes that of a model for a format.
func (f layoutFlags) vocabulary(model codec.Info, codebooks int, format tokenizer.Format) (*tokenizer.Vocabulary, error) {
	layout := tokenizer.Layout(f.Layout)
	if layout == "" {
		layout = tokenizer.Parallel
		if format == tokenizer.Text {
			layout = tokenizer.Flat
		}
	}
	v, err := tokenizer.NewVocabulary(model, codebooks, tokenizer.VocabularyOptions{
		Layout: layout, Base: f.Base, Ends: f.Ends, Prefix: f.Prefix, Groups: f.Groups,
	})
	if err != nil {
		return nil, &usageError{err}
	}
	return v, nil
}

type tokenizeCmd struct {
	In  []string `arg:"" help:"Audio or .sotto files, folders, patterns, manifests (.tsv .jsonl .jsonl.gz .scp), lists (.txt), .tar shards; \"-\" is a list on standard input."`
	Out string   `short:"o" required:"" placeholder:"PATH" help:"Folder of the data set, or one file (.npy .npz .parquet .jsonl .tar .txt); \"-\" is JSON lines or text on standard output."`
	modelFlag
	deviceFlag
	Format  string  `short:"F" placeholder:"NAME" help:"npy, npz, parquet, jsonl, wds (WebDataset), text or kaldi; by the name of PATH, else parquet."`
	Bitrate float64 `short:"b" placeholder:"KBPS" help:"Bitrate in kbit/s (see sotto models); the highest by default."`
	layoutFlags
	Split    string        `placeholder:"NAME" help:"Only the rows of manifests with this split."`
	Trim     bool          `help:"Cut silence off at both ends, by an energy threshold that adapts."`
	Shards   int           `placeholder:"N" help:"Number of processes that share the corpus; from SLURM_ARRAY_TASK_COUNT or SLURM_NTASKS by default."`
	Shard    int           `default:"-1" placeholder:"I" help:"Which of them this is, from 0; from SLURM_ARRAY_TASK_ID, SLURM_PROCID or JOB_COMPLETION_INDEX by default."`
	Part     time.Duration `default:"1h" help:"Sound in an output file, about: what a kill costs at most."`
	RetryBad bool          `help:"Do parts with failed files again."`
	Threads  int           `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	Force    bool          `short:"f" help:"Replace an existing file."`
	JSON     bool          `name:"json" help:"Print the report as JSON."`
}

// Help is shown by --help.
func (tokenizeCmd) Help() string {
	return `Turns a corpus into token sequences for language models. A run that was stopped, however, goes on where it was when the same command is given again. Files that cannot be read are listed in PATH/failed.tsv, and the run goes on; the exit code is 1 only if nothing could be tokenized.

Examples:
  sotto tokenize corpus/ --out tokens/
  sotto tokenize manifest.tsv --split train --format wds --out tokens/
  sotto tokenize --bitrate 1 --layout flat --base 128256 cuts.jsonl.gz --out tokens/
  sotto tokenize corpus/ --shards 16 --shard 3 --out tokens/
  find . -name '*.flac' | sotto tokenize - --format kaldi --out tokens/
  sotto tokenize speech.wav --out speech.npy
  sotto tokenize --format text --bitrate 0.5 speech.wav --out -`
}

// Validate refuses arguments that do not go together.
func (c *tokenizeCmd) Validate() error {
	switch {
	case c.Threads < 0:
		return errors.New("--threads must not be negative")
	case c.Base < 0 || c.Groups < 0:
		return errors.New("--base and --groups must not be negative")
	case c.Part <= 0:
		return errors.New("--part must be above 0")
	case c.Shards < 0:
		return errors.New("--shards must be above 0")
	}
	return nil
}

// file reports whether PATH is a file of its own.
func (c *tokenizeCmd) file() bool {
	if st, err := os.Stat(c.Out); err == nil && st.IsDir() {
		return false
	}
	return c.Out == "-" || tokenizer.FormatOf(c.Out) != "" && filepath.Ext(c.Out) != ".ark"
}

// format is the one asked for, or that of PATH.
func (c *tokenizeCmd) format() tokenizer.Format {
	f := tokenizer.Format(strings.ToLower(c.Format))
	if f != "" || !c.file() {
		return cmp.Or(f, tokenizer.Parquet)
	}
	return cmp.Or(tokenizer.FormatOf(c.Out), tokenizer.JSONL)
}

// shards finds which part of the work this process has.
func (c *tokenizeCmd) shards(s *session) error {
	env := func(names ...string) (string, int, bool) {
		for _, name := range names {
			if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
				return name, n, true
			}
		}
		return "", 0, false
	}
	if c.Shards == 0 {
		c.Shards = 1
		if name, n, ok := env("SLURM_ARRAY_TASK_COUNT", "SLURM_NTASKS"); ok && n > 1 && c.Shard < 0 {
			c.Shards = n
			fmt.Fprintf(s.stderr, "sotto: %s: %d shards\n", name, n)
		} else if c.Shard > 0 {
			return errors.New("--shard needs --shards")
		}
	}
	if c.Shard < 0 {
		c.Shard = 0
		if c.Shards > 1 {
			name, n, ok := env("SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "JOB_COMPLETION_INDEX")
			if !ok {
				return errors.New("--shards needs --shard, or a job array that numbers its tasks")
			}
			if name == "SLURM_ARRAY_TASK_ID" {
				_, first, _ := env("SLURM_ARRAY_TASK_MIN")
				n -= first
			}
			c.Shard = n
			fmt.Fprintf(s.stderr, "sotto: %s: shard %d of %d\n", name, n, c.Shards)
		}
	}
	if c.Shard < 0 || c.Shard >= c.Shards {
		return fmt.Errorf("--shard %d is outside of 0 to %d", c.Shard, c.Shards-1)
	}
	return nil
}

// Run is called by kong.
func (c *tokenizeCmd) Run(s *session) error {
	if err := c.shards(s); err != nil {
		return &usageError{err}
	}
	useThreads(c.Threads)
	model, err := c.load()
	if err == nil {
		model, err = c.codec(s, model)
	}
	if err != nil {
		return err
	}
	books, err := transcode.Codebooks(model.Info(), c.Bitrate)
	if err != nil {
		return &usageError{fmt.Errorf("--bitrate %w", err)}
	}
	vocabulary, err := c.vocabulary(model.Info(), books, c.format())
	if err != nil {
		return err
	}
	in := &tokenizer.Inputs{Paths: c.In, Split: c.Split, Stdin: s.stdin}
	defer in.Close()
	config := tokenizer.RunConfig{Format: c.format(), Shards: c.Shards, Part: c.Part.Seconds(), Trim: c.Trim}
	if c.file() {
		if c.Shards > 1 {
			return &usageError{errors.New("--shards needs a folder as PATH")}
		}
		return c.one(s, model, vocabulary, in, config)
	}
	run, err := tokenizer.NewRun(c.Out, model, vocabulary, config)
	if err != nil {
		return err
	}
	if err := run.Clean(c.Shard); err != nil {
		return err
	}
	items, seconds, err := run.Total(s.ctx, in, c.Shard)
	if err != nil {
		return err
	}
	if items == 0 && c.Shards == 1 {
		return errors.New("no audio among the inputs: name audio files, folders or manifests of them")
	}
	bar := newCorpusProgress(s.stderr, items, seconds)
	err = run.Parts(s.ctx, in, c.Shard, c.RetryBad, func(p *tokenizer.Part) error {
		if p.Done {
			bar.skip(p)
			return nil
		}
		_, err := run.Encode(s.ctx, p, bar.tell)
		return err
	})
	took := bar.end()
	if err != nil {
		return err
	}
	report, err := run.Finish(s.ctx, c.Shard)
	if err != nil {
		return err
	}
	c.tell(s.stdout, report, bar, took)
	if report.Utterances == 0 && report.Failed > 0 {
		return fmt.Errorf("%s: none of %d files could be tokenized: see failed.tsv there", c.Out, report.Failed)
	}
	return nil
}

// one writes a single file.
func (c *tokenizeCmd) one(s *session, model codec.Codec, v *tokenizer.Vocabulary, in *tokenizer.Inputs, config tokenizer.RunConfig) error {
	var dst io.WriteCloser = nopCloser{s.stdout}
	var file *output
	if c.Out == "-" {
		if config.Format != tokenizer.JSONL && config.Format != tokenizer.Text {
			return &usageError{fmt.Errorf("--out -: standard output takes --format jsonl or text, not %s", config.Format)}
		}
	} else {
		if config.Format == tokenizer.Kaldi {
			return &usageError{errors.New("--format kaldi makes several files: name a folder as PATH")}
		}
		var err error
		if file, err = create(s.ctx, c.Out, c.Force); err != nil {
			return err
		}
		defer file.discard()
		dst = nopCloser{file}
	}
	w := tokenizer.NewStreamWriter(config.Format, v, dst)
	bar := newCorpusProgress(s.stderr, 0, 0)
	report, failed, err := tokenizer.EncodeTo(s.ctx, w, model, v, in, config, bar.tell)
	took := bar.end()
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		f := failed[len(failed)-1]
		return fmt.Errorf("%s: %s", f.Path, f.Reason)
	}
	if report.Utterances == 0 {
		return errors.New("no audio among the inputs: name audio files, folders or manifests of them")
	}
	if err := w.Close(); err != nil {
		return err
	}
	if file == nil {
		return nil
	}
	if err := file.commit(); err != nil {
		return err
	}
	c.tell(s.stdout, report, bar, took)
	return nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// tell prints the report.
func (c *tokenizeCmd) tell(w io.Writer, r *tokenizer.Report, bar *corpusProgress, took time.Duration) {
	rate := 0.0
	if took > 0 {
		rate = bar.seconds / took.Seconds()
	}
	if c.JSON {
		line, _ := json.Marshal(struct {
			*tokenizer.Report
			Output  string  `json:"output"`
			Elapsed float64 `json:"elapsed"` // of this call
			Rate    float64 `json:"rate"`    // of this call, times real time
		}{r, c.Out, took.Seconds(), rate})
		fmt.Fprintf(w, "%s\n", line)
		return
	}
	fmt.Fprintf(w, "%s: %d utterances, %.4g h, %d tokens (%.4g a second) as %s in %s", c.Out, r.Utterances, r.Hours, r.Tokens, r.PerSecond, r.Layout, r.Format)
	if bar.seconds > 0 {
		fmt.Fprintf(w, "; %.0f x real time", rate)
	}
	fmt.Fprintln(w)
	if r.Trimmed > 0 {
		fmt.Fprintf(w, "trimmed: %.4g h of silence\n", r.Trimmed)
	}
	for i, b := range r.Codebooks {
		fmt.Fprintf(w, "codebook %d: %.1f %% of %d codes in use, entropy %.2f bits\n", i, 100*b.Use, b.Size, b.Entropy)
	}
	fmt.Fprintf(w, "padding: %.1f %% of what was computed\n", 100*r.Padding)
	if r.Failed > 0 {
		fmt.Fprintf(w, "failed: %d, listed with their reasons in %s\n", r.Failed, filepath.Join(c.Out, "failed.tsv"))
	}
}
