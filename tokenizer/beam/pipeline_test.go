package beam

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/textio"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"
	"github.com/sotto-audio/sotto/tokenizer"
)

func TestMain(m *testing.M) { ptest.Main(m) }

// tone writes a WAV file of a sweep.
func tone(t *testing.T, path string, samples int) {
	t.Helper()
	b := []byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data")
	b = binary.LittleEndian.AppendUint32(b, uint32(2*samples))
	for i := range samples {
		at := float64(i) / 16000
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(8000*math.Sin(2*math.Pi*(200+300*at)*at))))
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func job(t *testing.T, out string, inputs ...string) *Job {
	t.Helper()
	m, err := Model("")
	if err != nil {
		t.Fatal(err)
	}
	v, err := tokenizer.NewVocabulary(m.Info(), 2, tokenizer.VocabularyOptions{Layout: tokenizer.Parallel})
	if err != nil {
		t.Fatal(err)
	}
	return &Job{Out: out, Inputs: inputs, Vocabulary: v, Config: tokenizer.RunConfig{Format: tokenizer.Parquet, Shards: 2, Part: 2}}
}

// alone makes the data set of a job without Beam.
func alone(t *testing.T, j *Job, most int) {
	t.Helper()
	m, err := Model("")
	if err != nil {
		t.Fatal(err)
	}
	r, err := tokenizer.NewRun(j.Out, m, j.Vocabulary, j.Config)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("enough")
	for shard := range j.Config.Shards {
		err := r.Parts(t.Context(), &tokenizer.Inputs{Paths: j.Inputs}, shard, false, func(p *tokenizer.Part) error {
			if most--; most < 0 {
				return stop
			}
			_, err := r.Encode(t.Context(), p, func(tokenizer.Progress) {})
			return err
		})
		if err == stop {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Finish(t.Context(), shard); err != nil {
			t.Fatal(err)
		}
	}
}

func execute(t *testing.T, j *Job, dead string) error {
	t.Helper()
	p, s := beam.NewPipelineWithRoot()
	_, failed, err := Build(s, j)
	if err != nil {
		t.Fatal(err)
	}
	textio.Write(s, dead, failed)
	return ptest.Run(p)
}

// TestPipeline: on the direct runner, a job makes the data set that one machine
// makes, byte for byte, and the dead-letter output has the bad files; started after
// a stop it completes what is there; the model is loaded once.
func TestPipeline(t *testing.T) {
	corpus, dir := t.TempDir(), t.TempDir()
	for i := range 16 {
		tone(t, filepath.Join(corpus, fmt.Sprintf("%02d.wav", i)), 6000+2000*i)
	}
	if err := os.WriteFile(filepath.Join(corpus, "broken.wav"), []byte("<html>"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(corpus, "empty.flac"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want, direct, stopped := filepath.Join(dir, "want"), filepath.Join(dir, "direct"), filepath.Join(dir, "stopped")
	alone(t, job(t, want, corpus), math.MaxInt)

	dead := filepath.Join(dir, "dead.jsonl")
	if err := execute(t, job(t, direct, corpus), dead); err != nil {
		t.Fatal(err)
	}
	same(t, want, direct)
	data, err := os.ReadFile(dead)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(string(data)) {
		var f tokenizer.Failure
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, f.ID)
	}
	if len(ids) != 2 || !strings.Contains(string(data), `"broken"`) || !strings.Contains(string(data), `"empty"`) {
		t.Errorf("dead letters: %s", data)
	}

	alone(t, job(t, stopped, corpus), 3)
	if err := execute(t, job(t, stopped, corpus), dead); err != nil {
		t.Fatal(err)
	}
	same(t, want, stopped)
	if n := loads.Load(); n != 1 {
		t.Errorf("the model was loaded %d times", n)
	}
}

// same compares two data sets.
func same(t *testing.T, want, got string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		name, _ := filepath.Rel(want, path)
		a, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if b, err := os.ReadFile(filepath.Join(got, name)); err != nil || string(a) != string(b) {
			t.Errorf("%s differs: %v", name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	filepath.WalkDir(got, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return nil
	})
	if n != files || n < 10 {
		t.Errorf("%d files, want %d", files, n)
	}
}

// TestNoStandardInput: workers have none.
func TestNoStandardInput(t *testing.T) {
	_, s := beam.NewPipelineWithRoot()
	if _, _, err := Build(s, job(t, t.TempDir(), "-")); err == nil {
		t.Error("- was taken")
	}
}
