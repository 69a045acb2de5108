package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/audio"
)

const vocoders = "../../codec/vocos/testdata"

// Copy-synthesis keeps rate, channels and length, and its spectra on file give the
// same sound.
func TestVocode(t *testing.T) {
	dir := t.TempDir()
	model, err := filepath.Abs(filepath.Join(vocoders, "mel"))
	if err != nil {
		t.Fatal(err)
	}
	speech(t, filepath.Join(dir, "stereo.wav"), 16000, 2, 5001)
	speech(t, filepath.Join(dir, "own.wav"), 24000, 1, 5009)
	must := func(args ...string) {
		t.Helper()
		if r := runs(t, dir, nil, args...); r.code != 0 {
			t.Fatalf("%v: %s", args, r.stderr)
		}
	}
	must("vocode", "--model", model, "stereo.wav", "copy.wav")
	src, err := audio.Open(filepath.Join(dir, "copy.wav"))
	if err != nil {
		t.Fatal(err)
	}
	if f := src.Format(); f.SampleRate != 16000 || f.Channels != 2 || src.Frames() != 5001 {
		t.Errorf("%d samples of %+v", src.Frames(), f)
	}
	src.Close()
	must("vocode", "--model", model, "--bits", "32f", "own.wav", "own-copy.wav")
	must("models", "convert", model, "model.safetensors")
	must("vocode", "--model", "model.safetensors", "own.wav", "own.npy")
	must("vocode", "--model", model, "--bits", "32f", "own.npy", "own-spectra.wav")
	whole, err := audio.ReadMono(filepath.Join(dir, "own-copy.wav"), 24000)
	if err != nil {
		t.Fatal(err)
	}
	made, err := audio.ReadMono(filepath.Join(dir, "own-spectra.wav"), 24000)
	if err != nil {
		t.Fatal(err)
	}
	if len(whole) != 5009 || len(made) != 5009/16*16 {
		t.Fatalf("%d and %d samples", len(whole), len(made))
	}
	for i, v := range made {
		if v != whole[i] {
			t.Fatalf("sample %d is %g of spectra on file, %g of the sound", i, v, whole[i])
		}
	}
}

// Tokens of EnCodec go through a vocoder, from both kinds of file.
func TestDecodeVocoder(t *testing.T) {
	dir := t.TempDir()
	vocoder, err := filepath.Abs(filepath.Join(vocoders, "encodec"))
	if err != nil {
		t.Fatal(err)
	}
	model, err := filepath.Abs("../../codec/encodec/testdata/small.th")
	if err != nil {
		t.Fatal(err)
	}
	speech(t, filepath.Join(dir, "in.wav"), 24000, 1, 4001)
	var sounds [][]float32
	for _, file := range []string{"a.sotto", "a.ecdc"} {
		if r := runs(t, dir, nil, "encode", "--model", model, "in.wav", file); r.code != 0 {
			t.Fatal(r.stderr)
		}
		args := []string{"decode", "--vocoder", vocoder, "--force", file, "out.wav"}
		if file == "a.ecdc" {
			args = append(args, "--model", model)
		}
		if r := runs(t, dir, nil, args...); r.code != 0 {
			t.Fatal(r.stderr)
		}
		pcm, err := audio.ReadMono(filepath.Join(dir, "out.wav"), 24000)
		if err != nil {
			t.Fatal(err)
		}
		sounds = append(sounds, pcm)
	}
	if len(sounds[0]) != 4001 || len(sounds[1]) != 4001 {
		t.Fatalf("%d and %d samples", len(sounds[0]), len(sounds[1]))
	}
	var energy float64
	for i, v := range sounds[0] {
		if v != sounds[1][i] {
			t.Fatalf("sample %d differs between the files", i)
		}
		energy += float64(v * v)
	}
	if energy == 0 || math.IsNaN(energy) {
		t.Error("silence")
	}
}

// What does not go together is named.
func TestVocodeErrors(t *testing.T) {
	dir := t.TempDir()
	mel, err := filepath.Abs(filepath.Join(vocoders, "mel"))
	if err != nil {
		t.Fatal(err)
	}
	encodec := filepath.Join(filepath.Dir(mel), "encodec")
	speech(t, filepath.Join(dir, "in.wav"), 24000, 1, 4001)
	if err := os.WriteFile(filepath.Join(dir, "bad.npy"), []byte("\x93NUMPY"), 0o666); err != nil {
		t.Fatal(err)
	}
	if r := runs(t, dir, nil, "encode", "in.wav", "own.sotto"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"encode", "--model", mel, "in.wav", "x.sotto"}, 2, "sotto vocode"},
		{[]string{"encode", "--model", encodec, "in.wav", "x.sotto"}, 2, "--vocoder"},
		{[]string{"vocode", "--model", encodec, "in.wav", "x.wav"}, 2, "--vocoder"},
		{[]string{"vocode", "--model", mel, "bad.npy", "x.wav"}, 1, "not a NumPy array"},
		{[]string{"decode", "--vocoder", mel, "own.sotto", "x.wav"}, 1, "no tokens"},
		{[]string{"decode", "--vocoder", encodec, "own.sotto", "x.wav"}, 1, "encodec-24khz"},
	} {
		r := runs(t, dir, nil, c.args...)
		if r.code != c.code || !strings.Contains(r.stderr, c.says) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, %q", c.args, r.code, r.stderr)
		}
		if _, err := os.Stat(filepath.Join(dir, "x.wav")); err == nil {
			t.Errorf("%v: left a file", c.args)
		}
	}
}
