// Command sotto-beam makes a data set of token sequences on Apache Beam.
//
//	sotto-beam --out tokens/ corpus/                                    # in this process
//	sotto-beam --runner=universal --endpoint=localhost:8099 \
//	    --environment_type=LOOPBACK --out tokens/ corpus/               # a local job service
//	sotto-beam --runner=flink --endpoint=localhost:8081 --out … …       # and other portable runners
//
// Started again, it goes on where it was stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/textio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"
	"github.com/sotto-audio/sotto/tokenizer"
	tokens "github.com/sotto-audio/sotto/tokenizer/beam"
)

var (
	out     = flag.String("out", "", "folder of the data set, which workers see under the same path")
	format  = flag.String("format", "parquet", "npy, npz, parquet, jsonl, wds, text or kaldi")
	layout  = flag.String("layout", "", "parallel, flat, delay, coarse, units or runs; parallel by default, flat for text")
	model   = flag.String("model", "", "weights file, instead of the model inside this program")
	books   = flag.Int("codebooks", 0, "codebooks of a frame; all by default")
	base    = flag.Int("base", 0, "first id of flat, coarse and units")
	ends    = flag.Bool("ends", false, "begin sequences with bos and end them with eos")
	split   = flag.String("split", "", "only the rows of manifests with this split")
	trim    = flag.Bool("trim", false, "cut silence off at both ends")
	part    = flag.Duration("part", tokenizer.DefaultPart*1e9, "sound in an output file, about: the unit of work")
	shards  = flag.Int("shards", 1, "lists of inputs that are walked at a time")
	dead    = flag.String("dead-letter", "", "file for the items that failed, as JSON lines; none by default (failed.tsv has them, too)")
	reports = flag.String("report", "", "file for the report; none by default (report.json has it, too)")
)

func main() {
	flag.Parse()
	beam.Init() // a worker of a portable runner stays in here
	if err := start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "sotto-beam: "+strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

func start(ctx context.Context) error {
	if *out == "" || flag.NArg() == 0 {
		return errors.New("--out and inputs are needed: see --help")
	}
	m, err := tokens.Model(*model)
	if err != nil {
		return err
	}
	l := tokenizer.Layout(*layout)
	if l == "" {
		l = tokenizer.Parallel
		if *format == string(tokenizer.Text) {
			l = tokenizer.Flat
		}
	}
	v, err := tokenizer.NewVocabulary(m.Info(), *books, tokenizer.VocabularyOptions{Layout: l, Base: *base, Ends: *ends})
	if err != nil {
		return err
	}
	job := &tokens.Job{
		Split: *split, Vocabulary: v,
		Config: tokenizer.RunConfig{Format: tokenizer.Format(*format), Shards: *shards, Part: part.Seconds(), Trim: *trim},
	}
	// Workers have folders of their own to work in.
	if job.Out, err = filepath.Abs(*out); err != nil {
		return err
	}
	for _, in := range flag.Args() {
		path, err := filepath.Abs(in)
		if err != nil {
			return err
		}
		job.Inputs = append(job.Inputs, path)
	}
	if *model != "" {
		if job.Model, err = filepath.Abs(*model); err != nil {
			return err
		}
	}
	// What is wrong with the settings shows here, not on a worker.
	if _, err := tokenizer.NewRun(job.Out, m, v, job.Config); err != nil {
		return err
	}
	p, s := beam.NewPipelineWithRoot()
	report, failed, err := tokens.Build(s, job)
	if err != nil {
		return err
	}
	if *dead != "" {
		textio.Write(s, *dead, failed)
	}
	if *reports != "" {
		textio.Write(s, *reports, report)
	}
	return beamx.Run(ctx, p)
}
