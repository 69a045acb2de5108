// Package beam makes data sets of token sequences on Apache Beam, with what package
// tokenizer does on one machine: the same parts, file for file.
//
// A pipeline lists the parts of a corpus, spreads them over the workers, and
// encodes each to its output file, which appears when it is whole. So bundles may
// be tried again or run twice, and a job that was killed goes on when it is
// started again: parts that are done are passed over. Workers see inputs and
// output under the same paths, as on a shared or mounted file system.
package beam

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/sotto-audio/sotto/codec"
	_ "github.com/sotto-audio/sotto/codec/lyra" // a family that Load knows
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/tokenizer"
)

func init() {
	register.DoFn3x1[context.Context, int, func(string), error](&listFn{})
	register.DoFn4x1[context.Context, string, func(string), func(string), error](&encodeFn{})
	register.DoFn4x1[context.Context, []byte, func(*string) bool, func(string), error](&finishFn{})
	register.Emitter1[string]()
	register.Iter1[string]()
}

// Job says what a pipeline makes. Workers get it as JSON.
type Job struct {
	Out        string   // folder of the data set
	Inputs     []string // as tokenizer.Inputs.Paths, without "-"
	Split      string   // of manifests
	Model      string   // weights file; "" is the model of codec/sotto
	Config     tokenizer.RunConfig
	Vocabulary *tokenizer.Vocabulary
}

// models holds the models of this worker: each is loaded once.
var models struct {
	sync.Mutex
	byPath map[string]codec.Codec
}

// loads counts the models that were loaded.
var loads atomic.Int32

// Model loads the model of a path, once in a process.
func Model(path string) (codec.Codec, error) {
	models.Lock()
	defer models.Unlock()
	if m := models.byPath[path]; m != nil {
		return m, nil
	}
	var m codec.Codec
	var err error
	if path == "" {
		m, err = sotto.Default()
	} else {
		m, err = codec.Load(path)
	}
	if err != nil {
		return nil, err
	}
	loads.Add(1)
	if models.byPath == nil {
		models.byPath = map[string]codec.Codec{}
	}
	models.byPath[path] = m
	return m, nil
}

// run opens the run of a job, which is kept as JSON.
func run(job string) (*Job, *tokenizer.Run, error) {
	j := &Job{}
	if err := json.Unmarshal([]byte(job), j); err != nil {
		return nil, nil, err
	}
	m, err := Model(j.Model)
	if err != nil {
		return nil, nil, err
	}
	r, err := tokenizer.NewRun(j.Out, m, j.Vocabulary, j.Config)
	return j, r, err
}

// Build adds a job to a pipeline. report is the final report as JSON; failed is
// the dead-letter output: the items that have no tokens, each a tokenizer.Failure
// as JSON.
func Build(s beam.Scope, j *Job) (report, failed beam.PCollection, err error) {
	for _, path := range j.Inputs {
		if path == "-" {
			return report, failed, fmt.Errorf("beam: workers have no standard input: name a list instead of -")
		}
	}
	if j.Config.Shards < 1 {
		j.Config.Shards = 1
	}
	data, err := json.Marshal(j)
	if err != nil {
		return report, failed, err
	}
	s = s.Scope("tokenize")
	shards := make([]int, j.Config.Shards)
	for i := range shards {
		shards[i] = i
	}
	parts := beam.ParDo(s, &listFn{Job: string(data)}, beam.CreateList(s, shards))
	done, failed := beam.ParDo2(s, &encodeFn{Job: string(data)}, beam.Reshuffle(s, parts))
	report = beam.ParDo(s, &finishFn{Job: string(data)}, beam.Impulse(s), beam.SideInput{Input: done})
	return report, failed, nil
}

// listFn lists the parts of a shard.
type listFn struct{ Job string }

func (f *listFn) ProcessElement(ctx context.Context, shard int, emit func(string)) error {
	j, r, err := run(f.Job)
	if err != nil {
		return err
	}
	if err := r.Clean(shard); err != nil {
		return err
	}
	in := &tokenizer.Inputs{Paths: j.Inputs, Split: j.Split}
	return r.Parts(ctx, in, shard, false, func(p *tokenizer.Part) error {
		if p.Done {
			return nil
		}
		data, err := json.Marshal(p)
		if err == nil {
			emit(string(data))
		}
		return err
	})
}

// encodeFn encodes parts.
type encodeFn struct {
	Job string
	run *tokenizer.Run
}

func (f *encodeFn) Setup() (err error) {
	_, f.run, err = run(f.Job)
	return err
}

func (f *encodeFn) ProcessElement(ctx context.Context, part string, done, failed func(string)) error {
	p := &tokenizer.Part{}
	if err := json.Unmarshal([]byte(part), p); err != nil {
		return err
	}
	report, err := f.run.Encode(ctx, p, func(tokenizer.Progress) {})
	if err != nil {
		return err
	}
	for _, x := range report.Failed {
		data, err := json.Marshal(x)
		if err != nil {
			return err
		}
		failed(string(data))
	}
	done(fmt.Sprintf("%d %d", p.Shard, p.Index))
	return nil
}

// finishFn sums up when all parts are done.
type finishFn struct{ Job string }

func (f *finishFn) ProcessElement(ctx context.Context, _ []byte, done func(*string) bool, emit func(string)) error {
	var part string
	for done(&part) {
	}
	j, r, err := run(f.Job)
	if err != nil {
		return err
	}
	var report *tokenizer.Report
	for shard := range j.Config.Shards {
		if report, err = r.Finish(ctx, shard); err != nil {
			return err
		}
	}
	var b strings.Builder
	if err := json.NewEncoder(&b).Encode(report); err != nil {
		return err
	}
	emit(strings.TrimSpace(b.String()))
	return nil
}
