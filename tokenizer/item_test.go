package tokenizer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// walk gives all items of paths in dir.
func walk(t *testing.T, dir, split, stdin string, paths ...string) []Item {
	t.Helper()
	t.Chdir(dir)
	in := &Inputs{Paths: paths, Split: split, Stdin: strings.NewReader(stdin)}
	defer in.Close()
	var all [2][]Item
	for k := range all { // twice, as runs do
		if err := in.Walk(t.Context(), func(i Item) error {
			i.Seconds = 0
			all[k] = append(all[k], i)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(all[0], all[1]) {
		t.Errorf("%v: the second walk differs", paths)
	}
	return all[0]
}

func TestManifests(t *testing.T) {
	dir := t.TempDir()
	lhotse := `{"id": "cut-1", "start": 1.5, "duration": 2.25, "channel": 0, "type": "MonoCut", "supervisions": [{"id": "s", "text": "HELLO", "speaker": "A", "language": "English"}, {"text": "WORLD"}], "recording": {"id": "r", "sources": [{"type": "file", "channels": [0, 1], "source": "wavs/r.flac"}], "sampling_rate": 16000, "num_samples": 160000, "duration": 10.0}}
{"id": "cut-2", "start": 0, "duration": 10, "channel": 1, "type": "MonoCut", "recording": {"id": "r", "sources": [{"type": "file", "channels": [0], "source": "l.wav"}, {"type": "file", "channels": [1], "source": "r.wav"}]}}
{"id": "cut-3", "start": 0, "duration": 1, "channel": 0, "recording": {"sources": [{"type": "command", "channels": [0], "source": "sph2pipe x |"}]}}
`
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	z.Write([]byte(lhotse))
	z.Close()
	for name, text := range map[string]string{
		"m/list.tsv":      "path\tseconds\tsplit\tspeaker\tlang\ttext\r\na/x.flac\t3.5\ttrain\ts1\ten\tsay \"so\"\r\n/abs/y.wav\t1\tvalid\t\t\t\r\n\r\n",
		"m/parts.tsv":     "id\tpath\tstart\tduration\tchannel\nu1\tx.wav\t0\t2.5\t1\nu2\tx.wav\t2.5\t3\t\n",
		"m/ours.jsonl":    "{\"id\":\"u\",\"path\":\"x.wav\",\"text\":\"t\",\"speaker\":12,\"language\":\"de\",\"seconds\":2}\n\n{\"audio_filepath\":\"b/y.wav\",\"duration\":4,\"offset\":1.5}\n{\"audio_filepath\":\"c/y.wav\",\"duration\":4}\n",
		"m/cuts.jsonl.gz": gz.String(),
		"m/wav.scp":       "utt1 a/x.wav\nutt2 sph2pipe -f wav y.sph |\n",
		"m/list.txt":      "# files\na/x.wav\n\nb with space.wav\n",
		"d/b.wav":         "", "d/a/c.FLAC": "", "d/readme.md": "hello", "d/.git/x.wav": "",
	} {
		path := filepath.Join(mkdir(t, dir, filepath.Dir(name)), filepath.Base(name))
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	list := []Item{
		{ID: "a/x", Path: "m/a/x.flac", Channel: -1, Text: "say \"so\"", Speaker: "s1", Language: "en"},
		{ID: "/abs/y", Path: "/abs/y.wav", Channel: -1},
	}
	for _, c := range []struct {
		path, split, stdin string
		want               []Item
	}{
		{"m/list.tsv", "", "", list},
		{"m/list.tsv", "valid", "", list[1:]},
		{"m/parts.tsv", "", "", []Item{
			{ID: "u1", Path: "m/x.wav", Duration: 2.5, Channel: 1},
			{ID: "u2", Path: "m/x.wav", Start: 2.5, Duration: 3, Channel: -1},
		}},
		{"m/ours.jsonl", "", "", []Item{
			{ID: "u", Path: "m/x.wav", Channel: -1, Text: "t", Speaker: "12", Language: "de"},
			{ID: "b/y", Path: "m/b/y.wav", Channel: -1, Start: 1.5, Duration: 4},
			{ID: "c/y", Path: "m/c/y.wav", Channel: -1},
		}},
		{"m/cuts.jsonl.gz", "", "", []Item{
			{ID: "cut-1", Path: "m/wavs/r.flac", Start: 1.5, Duration: 2.25, Text: "HELLO WORLD", Speaker: "A", Language: "English"},
			{ID: "cut-2", Path: "m/r.wav", Duration: 10},
			{ID: "cut-3", Path: "m/sph2pipe x |", Duration: 1, Broken: `its recording is of type "command" in 1 parts: only single files are read`},
		}},
		{"m/wav.scp", "", "", []Item{
			{ID: "utt1", Path: "m/a/x.wav", Channel: -1},
			{ID: "utt2", Path: "sph2pipe -f wav y.sph |", Channel: -1, Broken: "is a command, not a file: run it and name its output"},
		}},
		{"m/list.txt", "", "", []Item{{ID: "a/x", Path: "m/a/x.wav", Channel: -1}, {ID: "b with space", Path: "m/b with space.wav", Channel: -1}}},
		{"-", "", "q/x.wav\n", []Item{{ID: "q/x", Path: "q/x.wav", Channel: -1}}},
		{"-", "", "{\"path\":\"q/x.wav\",\"id\":\"i\"}\n", []Item{{ID: "i", Path: "q/x.wav", Channel: -1}}},
		{"d", "", "", []Item{{ID: "a/c", Path: "d/a/c.FLAC", Channel: -1}, {ID: "b", Path: "d/b.wav", Channel: -1}}},
		{"d/*.wav", "", "", []Item{{ID: "b", Path: "d/b.wav", Channel: -1}}},
	} {
		got := walk(t, dir, c.split, c.stdin, c.path)
		for i := range got {
			got[i].Path = filepath.ToSlash(got[i].Path)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n%+v, want\n%+v", c.path, got, c.want)
		}
	}
}

// TestTarShards: sound in a tar file has the tokens of the files that it was made
// of, with transcripts from beside it.
func TestTarShards(t *testing.T) {
	dir := t.TempDir()
	m := native(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string, data []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	for i, name := range []string{"x/1", "x/2", "3"} {
		path := filepath.Join(dir, "files", name+".wav")
		tone(t, path, 16000, 5000+3000*i)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			add(name+".txt", []byte("hello\n"))
		}
		add(name+".wav", data)
		if i == 1 {
			add(name+".json", []byte(`{"text":"world","speaker":"s","lang":"en"}`))
		}
	}
	add("4.wav", nil)
	add("5.cls", []byte("7"))
	w.Close()
	if err := os.WriteFile(filepath.Join(dir, "whole.tar"), b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cut.tar"), b.Bytes()[:len(b.Bytes())/3], 0o666); err != nil {
		t.Fatal(err)
	}
	items := walk(t, dir, "", "", "whole.tar")
	if len(items) != 4 || items[0].Text != "hello" || items[1].Text != "world" || items[1].Speaker != "s" || items[1].Language != "en" || items[3].Broken == "" {
		t.Errorf("%+v", items)
	}
	files, tars := filepath.Join(dir, "out-files"), filepath.Join(dir, "out-tar")
	corpus(t, files, m, &Inputs{Paths: []string{"files"}}, RunConfig{Format: WDS}, 0)
	r := corpus(t, tars, m, &Inputs{Paths: []string{"whole.tar"}}, RunConfig{Format: WDS}, 0)
	if r.Utterances != 3 || r.Failed != 1 {
		t.Errorf("%+v", r)
	}
	want, got := read(t, files), read(t, tars)
	if len(got) != 3 {
		t.Errorf("%d utterances", len(got))
	}
	for id, x := range want {
		if got[id] == nil || !slices.Equal(got[id].Codes, x.Codes) {
			t.Errorf("%s has other codes out of a tar file", id)
		}
	}
	cut := walk(t, dir, "", "", "cut.tar")
	if len(cut) == 0 || !strings.Contains(cut[len(cut)-1].Broken, "cut off") {
		t.Errorf("a tar file that is cut off: %+v", cut)
	}
	// The data set is a tar file of its own kind, and no sound.
	if again := walk(t, dir, "", "", "out-tar/codes-00000-of-00001-00000.tar"); len(again) != 0 {
		t.Errorf("tokens are taken for sound: %+v", again)
	}
}

// TestParts: parts of one file, in a manifest, have the codes of those parts.
func TestParts(t *testing.T) {
	dir := t.TempDir()
	m := native(t)
	tone(t, filepath.Join(dir, "all.wav"), 16000, 64000)
	data, err := os.ReadFile(filepath.Join(dir, "all.wav"))
	if err != nil {
		t.Fatal(err)
	}
	one := append([]byte(nil), data[:44]...)
	one = append(one, data[44+2*16000:44+2*40000]...)
	one[40], one[41], one[42], one[43] = 0x80, 0xbb, 0, 0 // 48000 bytes
	if err := os.WriteFile(filepath.Join(dir, "u1.wav"), one, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m.tsv"), []byte("id\tpath\tstart\tduration\nu1\tall.wav\t1\t1.5\nu2\tall.wav\t3\t\nu3\tall.wav\t4\t1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	out, alone := filepath.Join(dir, "out"), filepath.Join(dir, "alone")
	r := corpus(t, out, m, &Inputs{Paths: []string{filepath.Join(dir, "m.tsv")}}, RunConfig{Format: JSONL}, 0)
	if r.Utterances != 2 || r.Failed != 1 {
		t.Errorf("%+v", r)
	}
	corpus(t, alone, m, &Inputs{Paths: []string{filepath.Join(dir, "u1.wav")}}, RunConfig{Format: JSONL}, 0)
	got, want := read(t, out), read(t, alone)
	if !slices.Equal(got["u1"].Codes, want["u1"].Codes) || got["u2"].Frames != 50 {
		t.Error("parts have other codes than files of their own")
	}
}

// FuzzManifests: no list makes a reader panic or hang.
func FuzzManifests(f *testing.F) {
	f.Add(uint8(0), []byte("path\tseconds\nx\t1\n"))
	f.Add(uint8(1), []byte(`{"id":"c","start":0,"duration":1,"channel":[0],"recording":{"sources":[{"type":"file","channels":[0],"source":"x"}]},"supervisions":[{"speaker":3}]}`))
	f.Add(uint8(2), []byte("a b\nc d |\n"))
	f.Add(uint8(3), []byte("x.wav\n"))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		readers := []func() error{
			func() error { return readTSV("d", bytes.NewReader(data), "", ok) },
			func() error { return readJSONL("d", bytes.NewReader(data), "", ok) },
			func() error { return readSCP("d", bytes.NewReader(data), "", ok) },
			func() error { return readList("d", bytes.NewReader(data), "", ok) },
		}
		readers[int(kind)%len(readers)]()
	})
}

func ok(Item) error { return nil }
