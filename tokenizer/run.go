package tokenizer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/sotto-audio/sotto/codec"
	"golang.org/x/sync/errgroup"
)

// RunConfig says what a run makes. All that shapes the data set is stored with
// it: a run that goes on with other settings, or another model, is refused.
type RunConfig struct {
	Format  Format  `json:"format"`
	Shards  int     `json:"shards"` // processes that share the corpus
	Part    float64 `json:"part"`   // seconds of sound, about, in an output file
	Trim    bool    `json:"trim"`   // silence at both ends is cut off
	Workers int     `json:"-"`      // files in work at once; 0 is the number of processors
}

// Run is the work of making a data set of a corpus in a folder. Several processes
// may work on its shards at a time. It is safe for concurrent use.
type Run struct {
	RunConfig
	dir        string
	encoder    *encoder
	vocabulary *Vocabulary
}

// A run keeps its state in a folder of the data set.
const (
	stateFolder  = ".sotto"
	settingsFile = "run.json"
)

// DefaultPart is the sound of an output file where nothing else is said, in
// seconds.
const DefaultPart = 3600

// NewRun begins a run in dir, or goes on with the one that is there.
func NewRun(dir string, model codec.Codec, v *Vocabulary, c RunConfig) (*Run, error) {
	info := model.Info()
	if err := v.CheckModel(info); err != nil {
		return nil, err
	}
	if c.Shards < 1 {
		c.Shards = 1
	}
	if c.Part <= 0 {
		c.Part = DefaultPart
	}
	if c.Workers < 1 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if !slices.Contains(Formats, c.Format) {
		return nil, fmt.Errorf("format %q is not known: it is one of %v", c.Format, Formats)
	}
	if c.Format == Text && !v.Layout.single() {
		return nil, fmt.Errorf("format %s needs a layout of one stream: %s, %s or %s", Text, Flat, Coarse, Units)
	}
	r := &Run{RunConfig: c, dir: dir, vocabulary: v, encoder: &encoder{model, info, len(v.Sizes), v, c.Trim}}
	if st, err := os.Stat(dir); err == nil && !st.IsDir() {
		return nil, fmt.Errorf("%s: is a file: --out names a folder", dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, stateFolder), 0o777); err != nil {
		return nil, fmt.Errorf("%s: cannot be made: %w", dir, err)
	}
	if err := r.settings(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := v.Write(&b); err != nil {
		return nil, err
	}
	return r, r.replace(everyone, VocabularyFile, b.Bytes())
}

// settings stores those of this run, or compares them with the stored ones.
func (r *Run) settings() error {
	type settings struct {
		RunConfig
		Vocabulary *Vocabulary `json:"vocabulary"`
	}
	name := filepath.Join(stateFolder, settingsFile)
	mine, err := json.MarshalIndent(settings{r.RunConfig, r.vocabulary}, "", "  ")
	if err != nil {
		return err
	}
	theirs, err := os.ReadFile(filepath.Join(r.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return r.replace(everyone, name, mine)
	}
	if err != nil || bytes.Equal(mine, theirs) {
		return err
	}
	var s settings
	if err := json.Unmarshal(theirs, &s); err != nil || s.Vocabulary == nil {
		return fmt.Errorf("%s: is damaged: give another --out", filepath.Join(r.dir, name))
	}
	switch v := s.Vocabulary; {
	case v.Fingerprint != r.vocabulary.Fingerprint:
		return fmt.Errorf("%s: holds a run with the model %s (fingerprint %s), this one is %s (%s): load that model, or give another --out",
			r.dir, v.Model, v.Fingerprint, r.vocabulary.Model, r.vocabulary.Fingerprint)
	case len(v.Sizes) != len(r.vocabulary.Sizes):
		return fmt.Errorf("%s: holds a run with %d codebooks, this one has %d: give the same --bitrate, or another --out", r.dir, len(v.Sizes), len(r.vocabulary.Sizes))
	case s.Format != r.Format || v.Layout != r.vocabulary.Layout:
		return fmt.Errorf("%s: holds a run in format %s and layout %s, this one is %s and %s: give the same, or another --out", r.dir, s.Format, v.Layout, r.Format, r.vocabulary.Layout)
	case s.Shards != r.Shards:
		return fmt.Errorf("%s: holds a run of %d shards, this one has %d: give the same --shards, or another --out", r.dir, s.Shards, r.Shards)
	}
	return fmt.Errorf("%s: holds a run with other settings (see %s): give the same, or another --out", r.dir, filepath.Join(r.dir, name))
}

func (r *Run) reportFile(shard, part int) string {
	return filepath.Join(r.dir, stateFolder, fmt.Sprintf("part-%05d-%05d.json", shard, part))
}

// owner names a shard in temporary files, everyone those of no shard.
func owner(shard int) string { return fmt.Sprintf("%05d", shard) }

const everyone = "run"

// name is that of a part's file, without its extension.
func (r *Run) name(p *Part) string {
	return fmt.Sprintf("codes-%05d-of-%05d-%05d", p.Shard, r.Shards, p.Index)
}

// replace gives a file of the run its new content at once; owner names who may
// remove what a kill leaves of it.
func (r *Run) replace(owner, name string, data []byte) error {
	path := filepath.Join(r.dir, name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Join(r.dir, stateFolder), "tmp-"+owner+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Progress is told of each item that is behind.
type Progress struct {
	Items   int
	Planned float64 // seconds that it was taken to last
	Seconds float64 // of sound that was encoded
	Failure *Failure
}

// Encode does a part: its output appears under its name when it is whole, and the
// part's report, which marks it as done, after that.
func (r *Run) Encode(ctx context.Context, p *Part, progress func(Progress)) (*PartReport, error) {
	tmp, err := os.MkdirTemp(filepath.Join(r.dir, stateFolder), "tmp-"+owner(p.Shard)+"-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	o := &partOutput{dir: r.dir, tmp: tmp}
	o.written.SetLimit(32) // a file system writes many at a time about as fast as one
	defer o.written.Wait()
	w, err := NewWriter(r.Format, r.vocabulary, r.name(p), o.create)
	if err != nil {
		return nil, err
	}
	report := r.vocabulary.partReport()
	report.Shard, report.Part, report.Items, report.Inputs = p.Shard, p.Index, len(p.Items), hashItems(p.Items)
	err = r.collect(ctx, p.Items, report, w, progress)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	if err := o.publish(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(report)
	if err != nil {
		return nil, err
	}
	return report, r.replace(owner(p.Shard), filepath.Join(stateFolder, filepath.Base(r.reportFile(p.Shard, p.Index))), data)
}

// collect encodes items, writes them in their order and counts them.
func (r *Run) collect(ctx context.Context, items []Item, report *PartReport, w Writer, progress func(Progress)) error {
	return r.jobs(ctx, items, func(j *job) error {
		done := Progress{Items: 1, Planned: j.item.Planned()}
		defer func() { progress(done) }()
		if j.err != nil {
			f := Failure{j.item.Path, j.item.ID, oneLine(strings.TrimPrefix(j.err.Error(), j.item.Path+": "))}
			report.Failed = append(report.Failed, f)
			done.Failure = &f
			return nil
		}
		report.count(j)
		done.Seconds = j.utterance.Seconds()
		return w.Write(j.utterance)
	})
}

// EncodeTo makes one data set of all inputs in one go, without state: what a
// single output file is for.
func EncodeTo(ctx context.Context, w Writer, model codec.Codec, v *Vocabulary, in *Inputs, c RunConfig, progress func(Progress)) (*Report, []Failure, error) {
	if err := v.CheckModel(model.Info()); err != nil {
		return nil, nil, err
	}
	if c.Workers < 1 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	r := &Run{RunConfig: c, vocabulary: v, encoder: &encoder{model, model.Info(), len(v.Sizes), v, c.Trim}}
	part := v.partReport()
	var items []Item
	work := func() error {
		err := r.collect(ctx, items, part, w, progress)
		items = nil
		return err
	}
	err := in.Walk(ctx, func(i Item) error {
		if items = append(items, i); len(items) < windowItems {
			return nil
		}
		return work()
	})
	if err == nil {
		err = work()
	}
	report := &Report{Model: v.Model, Fingerprint: v.Fingerprint, Format: c.Format, Layout: v.Layout, Shards: 1}
	report.add(part)
	report.finish()
	return report, part.Failed, err
}

// partOutput holds the files of a part until they are whole.
type partOutput struct {
	dir, tmp string
	names    []string
	written  errgroup.Group // files on their way to the disk
}

func (o *partOutput) create(name string) (io.WriteCloser, error) {
	path := filepath.Join(o.tmp, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	o.names = append(o.names, name)
	f, err := os.Create(path)
	return partFile{f, o}, err
}

type partFile struct {
	*os.File
	o *partOutput
}

// Close has the file written to the disk beside what goes on.
func (f partFile) Close() error {
	f.o.written.Go(func() error { return errors.Join(f.Sync(), f.File.Close()) })
	return nil
}

// publish puts the files in their places. They are on the disk by its end: the report
// that follows must not outlive them where power fails.
func (o *partOutput) publish() error {
	if err := o.written.Wait(); err != nil {
		return err
	}
	root := filepath.Clean(o.dir)
	folders := map[string]bool{}
	for _, name := range o.names {
		path := filepath.Join(o.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(o.tmp, filepath.FromSlash(name)), path); err != nil {
			return err
		}
		for dir := filepath.Dir(path); !folders[dir] && len(dir) >= len(root); dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		if err := flushFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// flushFolder waits until the names in a folder are on the disk, on systems that can.
func flushFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil // a file system without
	}
	return errors.Join(err, f.Close())
}

// Bounds of what is in work ahead of the writer.
const (
	windowItems   = 256
	windowSeconds = 1800
)

// window is a run of items that is encoded in any order and written in theirs.
type window struct {
	jobs []*job
	left sync.WaitGroup
}

// jobs encodes items side by side, those of about one length in a batch, and
// gives them to emit in their order.
func (r *Run) jobs(ctx context.Context, items []Item, emit func(*job) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	windows := make(chan *window, 1)
	go func() {
		defer close(windows)
		slots := make(chan struct{}, r.Workers)
		for len(items) > 0 {
			n := windowLength(items)
			w := &window{jobs: make([]*job, n)}
			for i := range n {
				w.jobs[i] = &job{item: &items[i]}
			}
			items = items[n:]
			batches := batchesOf(w.jobs, boundsOf(r.encoder.model).size)
			w.left.Add(len(batches))
			for _, b := range batches {
				slots <- struct{}{}
				go func() {
					if err := r.encoder.encode(ctx, b); err != nil {
						cancel(err)
					}
					<-slots
					w.left.Done()
				}()
			}
			windows <- w
		}
	}()
	var err error
	for w := range windows {
		w.left.Wait()
		for _, j := range w.jobs {
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err == nil {
				if err = emit(j); err != nil {
					cancel(err)
				}
			}
			*j = job{}
		}
	}
	return err
}

// windowLength is the number of items at the start that make a window.
func windowLength(items []Item) int {
	seconds := 0.0
	for i, item := range items[:min(len(items), windowItems)] {
		if seconds += item.Planned(); seconds >= windowSeconds {
			return i + 1
		}
	}
	return min(len(items), windowItems)
}

// batchesOf puts jobs of about one length together, so many in a batch, the longest
// first.
func batchesOf(jobs []*job, size int) [][]*job {
	sorted := slices.Clone(jobs)
	slices.SortStableFunc(sorted, func(a, b *job) int { return cmp.Compare(b.item.Planned(), a.item.Planned()) })
	return slices.Collect(slices.Chunk(sorted, size))
}

// Finish sums a shard up once its parts are done, writes its failed.tsv and
// report.json, and when it is the last shard those of the data set.
func (r *Run) Finish(ctx context.Context, shard int) (*Report, error) {
	mine := ""
	if r.Shards > 1 {
		mine = fmt.Sprintf("-%05d-of-%05d", shard, r.Shards)
	}
	report, err := r.sum(ctx, mine, shard, shard+1)
	if err != nil || r.Shards == 1 {
		return report, err
	}
	for s := range r.Shards {
		if _, err := os.Stat(filepath.Join(r.dir, fmt.Sprintf("report-%05d-of-%05d.json", s, r.Shards))); err != nil {
			return report, nil // not the last
		}
	}
	_, err = r.sum(ctx, "", 0, r.Shards)
	return report, err
}

// sum writes report and failed.tsv of shards.
func (r *Run) sum(ctx context.Context, suffix string, from, to int) (*Report, error) {
	report := &Report{
		Model: r.vocabulary.Model, Fingerprint: r.vocabulary.Fingerprint,
		Format: r.Format, Layout: r.vocabulary.Layout, Shards: r.Shards,
	}
	var failed bytes.Buffer
	failed.WriteString("path\tid\treason\n")
	for shard := from; shard < to; shard++ {
		for part := 0; ; part++ {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			p, err := r.report(shard, part)
			if err != nil {
				return nil, err
			}
			if p == nil {
				break
			}
			report.add(p)
			for _, f := range p.Failed {
				fmt.Fprintf(&failed, "%s\t%s\t%s\n", oneLine(f.Path), oneLine(f.ID), f.Reason)
			}
		}
	}
	report.finish()
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return nil, err
	}
	return report, errors.Join(
		r.replace(owner(from), "failed"+suffix+".tsv", failed.Bytes()),
		r.replace(owner(from), "report"+suffix+".json", append(data, '\n')),
	)
}

// Clean removes what killed runs of a shard left behind.
func (r *Run) Clean(shard int) error {
	left, err := filepath.Glob(filepath.Join(r.dir, stateFolder, "tmp-"+owner(shard)+"-*"))
	if r.Shards == 1 {
		more, _ := filepath.Glob(filepath.Join(r.dir, stateFolder, "tmp-"+everyone+"-*"))
		left = append(left, more...)
	}
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return err
}

// oneLine keeps a field of a table on its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, s)
}
