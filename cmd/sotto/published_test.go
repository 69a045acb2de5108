package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkpoint is the absolute path of a family's small checkpoint.
func checkpoint(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "..", "codec"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A published checkpoint, its other layout and the converted file encode and decode
// the same, and say so.
func TestPublished(t *testing.T) {
	dir := t.TempDir()
	speech(t, filepath.Join(dir, "in.wav"), 24000, 1, 5001)
	original := checkpoint(t, "encodec", "testdata", "small.th")
	r := runs(t, dir, nil, "models", "convert", original, "model.safetensors")
	if r.code != 0 || !strings.Contains(r.stdout, "encodec-24khz") {
		t.Fatalf("convert: %+v", r)
	}
	if r := runs(t, dir, nil, "models", "convert", original, "model.safetensors"); r.code != exitFailure || !strings.Contains(r.stderr, "--force") {
		t.Errorf("an existing file: %+v", r)
	}
	var files [][]byte
	for _, model := range []string{original, checkpoint(t, "encodec", "testdata", "small"), "model.safetensors"} {
		if r := runs(t, dir, nil, "encode", "--force", "--bitrate", "72", "--model", model, "in.wav", "out.sotto"); r.code != 0 {
			t.Fatalf("encode with %s: %+v", model, r)
		}
		file, err := os.ReadFile(filepath.Join(dir, "out.sotto"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		if r := runs(t, dir, nil, "decode", "--force", "--model", model, "out.sotto", "out.wav"); r.code != 0 {
			t.Fatalf("decode with %s: %+v", model, r)
		}
		if k := keys(t, runs(t, dir, nil, "info", "--json", model).stdout); k["model"] != "encodec-24khz" || k["streaming"] != "exact" {
			t.Errorf("info of %s: %v", model, k)
		}
	}
	for _, f := range files[1:] {
		if !bytes.Equal(f, files[0]) {
			t.Error("the layouts write different files")
		}
	}
	if r := runs(t, dir, nil, "encode", "--model", "in.wav", "in.wav", "x.sotto"); r.code != exitFailure || strings.Contains(r.stderr, "panic") {
		t.Errorf("sound as a model: %+v", r)
	}
}

// A signal that is longer than a window is cut, and the program says so.
func TestWindow(t *testing.T) {
	dir := t.TempDir()
	speech(t, filepath.Join(dir, "in.wav"), 16000, 1, 10*16000)
	model := checkpoint(t, "hificodec", "testdata", "small.pth")
	for window, cut := range map[string]bool{"9": true, "11": false} {
		r := runs(t, dir, nil, "encode", "--force", "--model", model, "--window", window, "in.wav", "out.sotto")
		if r.code != 0 || strings.Contains(r.stderr, "window") != cut {
			t.Errorf("--window %s: %+v", window, r)
		}
		if k := keys(t, runs(t, dir, nil, "info", "--json", "out.sotto").stdout); k["samples"] != 160000.0 {
			t.Errorf("--window %s: %v samples", window, k["samples"])
		}
	}
	if r := runs(t, dir, nil, "encode", "--model", model, "--window", "-1", "in.wav", "x.sotto"); r.code != exitUsage {
		t.Errorf("a negative window: %+v", r)
	}
}

// EnCodec's own files, of both models.
func TestECDC(t *testing.T) {
	dir := t.TempDir()
	speech(t, filepath.Join(dir, "in.wav"), 48000, 2, 60001)
	for name, channels := range map[string]float64{"small": 1, "stereo": 2} {
		model := checkpoint(t, "encodec", "testdata", name+".th")
		if r := runs(t, dir, nil, "encode", "--model", model, "in.wav", name+".ecdc"); r.code != 0 {
			t.Fatalf("%s: %+v", name, r)
		}
		k := keys(t, runs(t, dir, nil, "info", "--json", name+".ecdc").stdout)
		if k["kind"] != "ecdc" || k["channels"] != channels {
			t.Errorf("%s: %v", name, k)
		}
		if r := runs(t, dir, nil, "decode", "--model", model, name+".ecdc", name+".wav"); r.code != 0 {
			t.Fatalf("%s: %+v", name, r)
		}
		if got := keys(t, runs(t, dir, nil, "info", "--json", name+".wav").stdout); got["samples"] != k["samples"] || got["channels"] != channels {
			t.Errorf("%s comes back as %v", name, got)
		}
		if r := runs(t, dir, nil, "decode", name+".ecdc", "x.wav"); r.code != exitFailure || !strings.Contains(r.stderr, "EnCodec") {
			t.Errorf("%s with another model: %+v", name, r)
		}
	}
	lm, model := checkpoint(t, "encodec", "testdata", "lm.th"), checkpoint(t, "encodec", "testdata", "small.th")
	if r := runs(t, dir, nil, "encode", "--model", model, "--lm", lm, "in.wav", "lm.ecdc"); r.code != 0 {
		t.Fatalf("with a language model: %+v", r)
	}
	if r := runs(t, dir, nil, "decode", "--model", model, "--lm", lm, "lm.ecdc", "lm.wav"); r.code != 0 {
		t.Fatalf("with a language model: %+v", r)
	}
	a, err := os.ReadFile(filepath.Join(dir, "small.wav"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "lm.wav")); err != nil || !bytes.Equal(a, b) {
		t.Errorf("another sound with a language model (%v)", err)
	}
	if r := runs(t, dir, nil, "decode", "--model", model, "lm.ecdc", "x.wav"); r.code != exitFailure || !strings.Contains(r.stderr, "--lm") {
		t.Errorf("without the language model: %+v", r)
	}
	if r := runs(t, dir, nil, "encode", "--model", checkpoint(t, "encodec", "testdata", "stereo.th"), "in.wav", "x.sotto"); r.code != exitFailure || !strings.Contains(r.stderr, ".ecdc") {
		t.Errorf("stereo as .sotto: %+v", r)
	}
}
