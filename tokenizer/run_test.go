package tokenizer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
)

// tone writes a 16-bit WAV file of a sweep with noise, of one channel.
func tone(t testing.TB, path string, rate, samples int) {
	t.Helper()
	b := append([]byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"), 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 16, 0)
	binary.LittleEndian.PutUint32(b[24:], uint32(rate))
	binary.LittleEndian.PutUint32(b[28:], uint32(2*rate))
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*samples))
	r := rand.New(rand.NewPCG(uint64(samples), 1))
	for i := range samples {
		at := float64(i) / float64(rate)
		v := 8000*math.Sin(2*math.Pi*(200+300*at)*at) + 200*r.NormFloat64()
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(v)))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func native(t testing.TB) codec.Codec {
	t.Helper()
	m, err := sotto.Default()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// corpus is a run over a folder, to its end.
func corpus(t testing.TB, out string, m codec.Codec, in *Inputs, c RunConfig, shard int) *Report {
	t.Helper()
	v, err := NewVocabulary(m.Info(), 2, VocabularyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRun(out, m, v, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Parts(t.Context(), in, shard, false, func(p *Part) error {
		if p.Done {
			return nil
		}
		_, err := r.Encode(t.Context(), p, func(Progress) {})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	report, err := r.Finish(t.Context(), shard)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// read gives the codes of a data set.
func read(t testing.TB, dir string) map[string]*codec.Tokens {
	t.Helper()
	v, err := FindVocabulary(dir)
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	r, err := Open(dir, v)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := map[string]*codec.Tokens{}
	for {
		u, err := r.Next()
		if err != nil {
			return all
		}
		x, err := v.Restore(u.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		if all[u.ID] != nil {
			t.Errorf("%s is there twice", u.ID)
		}
		all[u.ID] = x
	}
}

// TestCorpusHasTheTokensOfEachFileAlone: batches, shards and long files change
// no code, and a shard's files are those of its utterances.
func TestCorpusHasTheTokensOfEachFileAlone(t *testing.T) {
	m := native(t)
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(7, 8))
	want := map[string]*codec.Tokens{}
	for i := range 30 {
		n := 1 + r.IntN(30000)
		if i == 11 {
			n = 61 * 16000 // encoded piece by piece
		}
		name := fmt.Sprintf("%d/%02d", i%3, i)
		path := filepath.Join(dir, name+".wav")
		tone(t, path, 16000, n)
		j := &job{item: &Item{Path: path, Channel: -1}}
		s, err := openSound(j.item)
		if err != nil {
			t.Fatal(err)
		}
		var pcm []float32
		for err == nil {
			pcm, err = s.append(pcm)
		}
		s.Close()
		if want[name], err = m.Encode(t.Context(), pcm, 2); err != nil {
			t.Fatal(err)
		}
	}
	in := &Inputs{Paths: []string{dir}}
	for _, shards := range []int{1, 3} {
		out := t.TempDir()
		var hours float64
		for shard := range shards {
			report := corpus(t, out, m, in, RunConfig{Format: Parquet, Shards: shards, Part: 8}, shard)
			hours += report.Hours
			if report.Padding > 0.05 {
				t.Errorf("padding %.3f", report.Padding)
			}
		}
		got := read(t, out)
		if len(got) != len(want) {
			t.Errorf("%d shards: %d utterances, want %d", shards, len(got), len(want))
		}
		for id, x := range want {
			if got[id] == nil || !slices.Equal(got[id].Codes, x.Codes) {
				t.Errorf("%d shards: %s has other codes than alone", shards, id)
			}
		}
		data, err := os.ReadFile(filepath.Join(out, "report.json"))
		if err != nil || !bytes.Contains(data, []byte(`"utterances": 30,`)) {
			t.Errorf("%d shards: %v, %s", shards, err, data)
		}
		if files, _ := filepath.Glob(filepath.Join(out, "*.parquet")); len(files) < shards+1 {
			t.Errorf("%d shards: the output files are %v", shards, files)
		}
	}
}

// TestHostileCorpus: what is bad is listed, all of it and nothing else.
func TestHostileCorpus(t *testing.T) {
	m := native(t)
	dir := t.TempDir()
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	get := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	tone(t, filepath.Join(dir, "good.wav"), 16000, 20000)
	tone(t, filepath.Join(dir, "also good/one sample.wav"), 8000, 1)
	wav := get(filepath.Join(dir, "good.wav"))
	flac := get("../internal/audio/testdata/mono16k.flac")
	put("misnamed.mp3", flac)                                      // good
	put("no-extension-of-audio.dat", wav)                          // good
	put("silent.wav", append(wav[:44:44], make([]byte, 40000)...)) // good
	put("mulaw.wav", get("../internal/audio/testdata/mulaw.wav"))  // good
	put("rf64.wav", get("../internal/audio/testdata/rf64.wav"))    // good
	put("notes.txt", []byte("not audio, and not meant to be\n"))
	put(".hidden.wav", wav)
	bad := map[string]string{
		"empty":    "is empty",
		"no-sound": "holds no sound",
		"cut":      "cut off",
		"broken":   "damaged",
		"text":     "is a text file",
		"noise":    "no known audio format",
		"video":    "M4A/MP4",
	}
	put("empty.wav", nil)
	binary.LittleEndian.PutUint32(wav[4:], 48)
	put("no-sound.wav", append(append(wav[:40:40], 0, 0, 0, 0), "LIST\x04\x00\x00\x00abcd"...))
	put("cut.wav", get(filepath.Join(dir, "good.wav"))[:9000])
	damaged := slices.Clone(flac)
	for i := len(damaged) / 2; i < len(damaged)/2+200; i++ {
		damaged[i] ^= 0x55
	}
	put("broken.flac", damaged)
	put("text.wav", []byte("<html>404 not found</html>\n"))
	noise := make([]byte, 5000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.IntN(128))
	}
	put("noise.flac", noise)
	put("video.mp4", append([]byte("\x00\x00\x00\x20ftypisom"), noise...))
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling.wav")); err == nil {
		bad["dangling"] = "no such file"
	}
	put("good.flac", flac) // the same id as good.wav; files come in the order of their names
	bad["good"] = "same id"

	for _, f := range Formats {
		out := t.TempDir()
		report := corpus(t, out, m, &Inputs{Paths: []string{dir}}, RunConfig{Format: f, Part: 2}, 0)
		lines := strings.Split(strings.TrimSpace(string(get(filepath.Join(out, "failed.tsv")))), "\n")[1:]
		for _, l := range lines {
			x := strings.Split(l, "\t")
			if len(x) != 3 || bad[x[1]] == "" || !strings.Contains(x[2], bad[x[1]]) {
				t.Errorf("%s: listed as failed: %s", f, l)
			}
		}
		if len(lines) != len(bad) || report.Failed != len(bad) || report.Utterances != 7 {
			t.Errorf("%s: %d utterances, %d failed, %d listed; want 7 and %d:\n%s", f, report.Utterances, report.Failed, len(lines), len(bad), strings.Join(lines, "\n"))
		}
		if n := len(read(t, out)); n != 7 {
			t.Errorf("%s: %d utterances are there", f, n)
		}
	}
}

// TestResumeRefuses: a run does not go on with another model or other inputs.
func TestResumeRefuses(t *testing.T) {
	m := native(t)
	dir, out := t.TempDir(), t.TempDir()
	for i := range 6 {
		tone(t, filepath.Join(dir, fmt.Sprintf("%d.wav", i)), 16000, 16000)
	}
	in := &Inputs{Paths: []string{dir}}
	c := RunConfig{Format: JSONL, Part: 2}
	corpus(t, out, m, in, c, 0)
	before := tree(t, out)
	corpus(t, out, m, in, c, 0)
	if after := tree(t, out); !equalTrees(before, after) {
		t.Error("doing nothing changed the data set")
	}
	v, err := NewVocabulary(m.Info(), 2, VocabularyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other := otherModel{m}
	if _, err := NewRun(out, other, v, c); err == nil || !strings.Contains(err.Error(), "load sotto") {
		t.Errorf("a vocabulary of another model: %v", err)
	}
	w, err := NewVocabulary(other.Info(), 2, VocabularyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewRun(out, other, w, c); err == nil || !strings.Contains(err.Error(), "holds a run with the model sotto") {
		t.Errorf("another model: %v", err)
	}
	r, err := NewRun(out, m, v, c)
	if err != nil {
		t.Fatal(err)
	}
	again := func() error {
		return r.Parts(t.Context(), in, 0, false, func(p *Part) error {
			if !p.Done {
				return errors.New("not done")
			}
			return nil
		})
	}
	if err := again(); err != nil {
		t.Error(err)
	}
	if err := os.Rename(filepath.Join(dir, "5.wav"), filepath.Join(dir, "6.wav")); err != nil {
		t.Fatal(err)
	}
	if err := again(); err == nil || !strings.Contains(err.Error(), "the inputs are not those") {
		t.Errorf("another file: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "6.wav")); err != nil {
		t.Fatal(err)
	}
	if err := again(); err == nil || !strings.Contains(err.Error(), "the inputs are not those") {
		t.Errorf("a file less: %v", err)
	}
}

// otherModel has other weights, as far as one can see.
type otherModel struct{ codec.Codec }

func (m otherModel) Info() codec.Info {
	i := m.Codec.Info()
	i.Name, i.Fingerprint = "other", codec.Fingerprint{9}
	return i
}

// TestCancelled: a run that is stopped leaves no part that is not whole, and the
// next one completes the data set.
func TestCancelled(t *testing.T) {
	m := native(t)
	dir, want, out := t.TempDir(), t.TempDir(), t.TempDir()
	for i := range 12 {
		tone(t, filepath.Join(dir, fmt.Sprintf("%d.wav", i)), 16000, 8000)
	}
	in := &Inputs{Paths: []string{dir}}
	c := RunConfig{Format: NPY, Part: 1.5}
	corpus(t, want, m, in, c, 0)
	v, err := NewVocabulary(m.Info(), 2, VocabularyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRun(out, m, v, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err = r.Parts(ctx, in, 0, false, func(p *Part) error {
		_, err := r.Encode(ctx, p, func(Progress) {
			if n++; n == 5 {
				cancel()
			}
		})
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(out, "*.npy")); len(files) != 3 {
		t.Errorf("one part of three utterances was whole: %v", files)
	}
	corpus(t, out, m, in, c, 0)
	if !equalTrees(tree(t, want), tree(t, out)) {
		t.Error("the data set is not that of a run left alone")
	}
}

// tree gives the content of all files of a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func equalTrees(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, data := range a {
		if b[name] != data {
			return false
		}
	}
	return true
}

// TestTrim: silence at both ends goes, sound and pauses inside of it stay.
func TestTrim(t *testing.T) {
	m := native(t)
	dir, out := t.TempDir(), t.TempDir()
	for _, c := range []struct {
		name         string
		before, long int // samples
	}{{"a", 16000, 16000}, {"long", 32000, 70 * 16000}} {
		path := filepath.Join(dir, c.name+".wav")
		tone(t, path, 16000, c.long)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sound := data[44:]
		clear(sound[6400:9600]) // a pause
		all := slices.Concat(data[:44], make([]byte, 2*c.before), sound, make([]byte, 48000))
		binary.LittleEndian.PutUint32(all[40:], uint32(len(all)-44))
		if err := os.WriteFile(path, all, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "silent.wav"), slices.Concat([]byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data\x00\x7d\x00\x00"), make([]byte, 32000)), 0o666); err != nil {
		t.Fatal(err)
	}
	report := corpus(t, out, m, &Inputs{Paths: []string{dir}}, RunConfig{Format: JSONL, Trim: true}, 0)
	if report.Failed != 1 || report.Utterances != 2 {
		t.Errorf("%+v", report)
	}
	got := read(t, out)
	for name, seconds := range map[string]float64{"a": 1, "long": 70} {
		if f := float64(got[name].Frames) / 50; f < seconds || f > seconds+0.25 {
			t.Errorf("%s: %.2f s of %.2f are left", name, f, seconds)
		}
	}
	if x := report.Trimmed*3600 - (1 + 2 + 1.5*2); math.Abs(x) > 0.5 {
		t.Errorf("trimmed %.2f s", report.Trimmed*3600)
	}
}
