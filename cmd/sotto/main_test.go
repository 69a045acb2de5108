package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

// program is the path of the built program.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sotto")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "sotto.exe")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		os.Stderr.Write(out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// result is what a run of the program gave.
type result struct {
	stdout, stderr string
	code           int
}

// runs starts the program in dir and waits for its end.
func runs(t *testing.T, dir string, stdin []byte, args ...string) result {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SOTTO_DATA=") })
	// No test makes noise: on Linux these hide the speakers.
	cmd.Env = append(cmd.Env, "PULSE_SERVER=unix:none", "ALSA_CONFIG_PATH=none")
	cmd.Stdin = bytes.NewReader(stdin)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatal(e)
	}
	return result{out.String(), err.String(), cmd.ProcessState.ExitCode()}
}

// speech writes a WAV file of a chirp.
func speech(t *testing.T, path string, rate, channels, frames int) []byte {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := audio.NewWAVWriter(f, audio.Format{SampleRate: rate, Channels: channels, Bits: 16})
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]float32, frames*channels)
	for i := range pcm {
		at := float64(i/channels) / float64(rate)
		pcm[i] = float32(0.3 * math.Sin(2*math.Pi*(200+150*at)*at))
	}
	if err := errors.Join(w.Write(pcm), w.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestHelp(t *testing.T) {
	for _, command := range []string{"encode", "decode", "play", "listen", "send", "receive", "serve", "tokenize", "detokenize", "info", "models", "models list", "eval", "eval codec", "eval rvq", "eval tokens", "bench", "completion"} {
		r := runs(t, "", nil, append(strings.Fields(command), "--help")...)
		if r.code != 0 || !strings.Contains(r.stdout, "Example") || !strings.Contains(r.stdout, "    sotto ") && !strings.Contains(r.stdout, "(sotto ") {
			t.Errorf("sotto %s --help: exit code %d, no example in:\n%s", command, r.code, r.stdout)
		}
	}
	if r := runs(t, "", nil, "--version"); r.code != 0 || !strings.HasPrefix(r.stdout, "sotto ") {
		t.Errorf("--version: %+v", r)
	}
}

// TestErrors: one line that says what, why and what to do; 2 for usage.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	speech(t, filepath.Join(dir, "a.wav"), 16000, 1, 1600)
	for name, text := range map[string]string{"empty": "", "text.txt": "hello, world\nthis is text\n", "a.sotto": "taken"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "expected one of"},
		{"encod a b", 2, `did you mean "encode"?`},
		{"encode --bitrat 3 a b", 2, `did you mean "--bitrate"?: see sotto encode --help`},
		{"encode", 2, "IN"},
		{"encode a.wav", 2, "OUT is missing"},
		{"encode --entropy a.wav b.ecdc", 2, "--entropy is for .sotto files"},
		{"encode a b c", 2, "--out DIR"},
		{"encode --out d x/a.wav y/a.wav", 2, "would both become"},
		{"encode --bitrate 0.7 a.wav b.sotto", 2, "no such step: give one of"},
		{"encode --threads x a b", 2, "--threads"},
		{"decode --bits 20 a b", 2, "--bits must be one of"},
		{"decode --bits 32f a b.flac", 2, "FLAC"},
		{"decode --precision int4 a b.wav", 2, `--precision must be one of "f32","bf16","int8","tf32" but got "int4"`},
		{"play --precision f64 a", 2, "--precision must be one of"},
		{"eval codec --precision 8", 2, "--precision must be one of"},
		{"bench --precision 8", 2, "--precision must be one of"},
		{"encode --precision int8 a.wav b.sotto", 2, "unknown flag --precision"},
		{"decode a", 2, "<out>"},
		{"decode a.sotto b.mp3", 2, ".mp3 is not written here: give a .wav or .flac name"},
		{"encode --out a.wav a.wav", 1, "a.wav: is a file: --out names a folder"},
		{"completion tcsh", 2, "bash"},
		{"bench --threads 0", 2, "--threads"},
		{"eval codec", 2, "SOTTO_DATA"},
		{"eval tokens", 2, "SOTTO_DATA"},
		{"eval tokens --split train", 2, "--split and --learn must differ"},
		{"eval tokens --data none.tsv", 1, "none.tsv: no such file"},
		{"eval tokens --data text.txt", 1, "text.txt"},
		{"eval codec --data none.tsv", 1, "none.tsv: no such file"},
		{"eval codec --data text.txt", 1, "text.txt"},
		{"encode none.wav b.sotto", 1, "none.wav: no such file"},
		{"encode . b.sotto", 1, "directory"},
		{"encode empty b.sotto", 1, "empty"},
		{"encode text.txt b.sotto", 1, "text file"},
		{"encode a.wav a.sotto", 1, "a.sotto: exists already: give --force"},
		{"encode --force a.wav a.wav", 1, "a.wav: is the input as well"},
		{"encode a.wav .", 1, "directory"},
		{"encode a.wav none/b.sotto", 1, "no folder none"},
		{"encode --model none a.wav b.sotto", 1, "none: no such file: give a weights file"},
		{"encode --model text.txt a.wav b.sotto", 1, "text.txt"},
		{"decode none b.wav", 1, "none: no such file"},
		{"decode . b.wav", 1, "directory"},
		{"decode empty b.wav", 1, "empty"},
		{"decode text.txt b.wav", 1, "not a readable .sotto file"},
		{"decode a.wav b.wav", 1, "not a readable .sotto file"},
		{"info none", 1, "none: no such file"},
		{"info text.txt", 1, "text file"},
		{"info empty", 1, "empty"},
		{"play none", 1, "none: no such file"},
		{"play text.txt", 1, "text file"},
	} {
		r := runs(t, dir, nil, strings.Fields(c.args)...)
		if r.code != c.code || !strings.HasPrefix(r.stderr, "sotto: ") || !strings.Contains(r.stderr, c.want) ||
			strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
			t.Errorf("sotto %s: exit code %d, want %d; want one line with %q, got\n%s%s", c.args, r.code, c.code, c.want, r.stdout, r.stderr)
		}
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "a.sotto")); string(data) != "taken" {
		t.Error("an existing file was replaced without --force")
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 4 {
		t.Errorf("files were left behind: %v", entries)
	}
}

func TestPlayWithoutDevice(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the speakers can be hidden on Linux only")
	}
	dir := t.TempDir()
	speech(t, filepath.Join(dir, "a.wav"), 16000, 1, 1600)
	if r := runs(t, dir, nil, "encode", "a.wav", "a.sotto"); r.code != 0 {
		t.Fatal(r)
	}
	for _, name := range []string{"a.wav", "a.sotto"} {
		r := runs(t, dir, nil, "play", name)
		if r.code != 1 || !strings.HasPrefix(r.stderr, "sotto: no sound device: ") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("play %s: %+v", name, r)
		}
	}
}

// keys of the JSON object in text.
func keys(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return v
}

// TestRoundTrip: files, pipes, JSON keys, --force.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ rate, channels, frames int }{{16000, 1, 0}, {16000, 1, 321}, {44100, 2, 30011}, {8000, 1, 8000}} {
		wav := speech(t, filepath.Join(dir, "in.wav"), c.rate, c.channels, c.frames)
		r := runs(t, dir, nil, "encode", "--json", "--force", "in.wav", "x.sotto")
		if r.code != 0 {
			t.Fatalf("encode: %+v", r)
		}
		told := keys(t, r.stdout)
		info := keys(t, runs(t, dir, nil, "info", "--json", "x.sotto").stdout)
		for _, key := range []string{"samples", "sample_rate", "channels", "frames", "codebooks", "bitrate", "model", "fingerprint"} {
			if told[key] == nil || told[key] != info[key] {
				t.Errorf("%s: encode says %v, info %v", key, told[key], info[key])
			}
		}
		if r := runs(t, dir, nil, "decode", "--force", "x.sotto", "out.wav"); r.code != 0 || !strings.HasPrefix(r.stdout, "out.wav: ") {
			t.Fatalf("decode: %+v", r)
		}
		if r := runs(t, dir, nil, "decode", "--force", "--bits", "24", "x.sotto", "out.flac"); r.code != 0 {
			t.Fatalf("decode: %+v", r)
		}
		for _, name := range []string{"in.wav", "out.wav", "out.flac"} {
			info := keys(t, runs(t, dir, nil, "info", "--json", name).stdout)
			if info["samples"] != float64(c.frames) || info["sample_rate"] != float64(c.rate) || info["channels"] != float64(c.channels) {
				t.Errorf("%s of %+v: %v", name, c, info)
			}
		}
		piped := runs(t, dir, wav, "encode", "-", "-")
		if piped.code != 0 || piped.stderr != "" {
			t.Fatalf("encode - -: %d, %s", piped.code, piped.stderr)
		}
		sound := runs(t, dir, []byte(piped.stdout), "decode", "-", "-")
		if sound.code != 0 || sound.stderr != "" {
			t.Fatalf("decode - -: %d, %s", sound.code, sound.stderr)
		}
		whole, _, err := audio.ReadFile(filepath.Join(dir, "out.wav"))
		if err != nil {
			t.Fatal(err)
		}
		rd, err := audio.NewReader(strings.NewReader(sound.stdout), "-")
		if err != nil {
			t.Fatal(err)
		}
		streamed, err := audio.ReadAll(rd)
		if err != nil {
			t.Fatal(err)
		}
		if len(streamed) != c.channels || len(streamed[0]) != c.frames {
			t.Fatalf("%+v: the pipe gives %d channels of %d samples", c, len(streamed), len(streamed[0]))
		}
		for i := range streamed {
			if !slices.Equal(streamed[i], whole[i]) {
				t.Errorf("%+v: channel %d differs between pipe and file", c, i)
			}
		}
		// Raw samples are the WAV file without its header.
		raw := wav[len(wav)-2*c.frames*c.channels:]
		rawRate := []string{"encode", "--raw-rate", "16000", "-", "-"}
		if c.rate == 16000 && c.channels == 1 && c.frames > 0 {
			r := runs(t, dir, raw, rawRate...)
			info := keys(t, runs(t, dir, []byte(r.stdout), "info", "--json", "-").stdout)
			if info["samples"] != float64(c.frames) {
				t.Errorf("raw samples: %v", info)
			}
		}
	}
}

func TestOutFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.wav", "b.wav"} {
		speech(t, filepath.Join(dir, name), 16000, 1, 5000)
	}
	r := runs(t, dir, nil, "encode", "--out", "d", "a.wav", "b.wav", "none.wav")
	if r.code != 1 || r.stderr != "sotto: none.wav: no such file: check the name\n" {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{"a.sotto", "b.sotto"} {
		if _, err := os.Stat(filepath.Join(dir, "d", name)); err != nil {
			t.Error(err)
		}
	}
}

// TestDamaged: sound is written, the packet is named, the exit code is 1.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	speech(t, filepath.Join(dir, "a.wav"), 16000, 1, 48000)
	if r := runs(t, dir, nil, "encode", "a.wav", "a.sotto"); r.code != 0 {
		t.Fatal(r)
	}
	path := filepath.Join(dir, "a.sotto")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0x40
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	r := runs(t, dir, nil, "decode", "a.sotto", "b.wav")
	if r.code != 1 || !strings.Contains(r.stderr, "packet 1 ") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("%+v", r)
	}
	if info := keys(t, runs(t, dir, nil, "info", "--json", "b.wav").stdout); info["samples"] != 48000.0 {
		t.Errorf("decoded: %v", info)
	}
}

// TestOtherWeights: refused by fingerprint, with the name that is needed.
func TestOtherWeights(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "a.sotto"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := codec.NewWriter(f, codec.Header{
		Model: "sotto-elsewhere-v9", Fingerprint: codec.Fingerprint{9, 9}, ModelRate: 16000, HopLength: 320,
		SampleRate: 16000, Channels: 1, CodebookSizes: []int{1024, 1024},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(0); err != nil {
		t.Fatal(err)
	}
	r := runs(t, dir, nil, "decode", "a.sotto", "b.wav")
	if r.code != 1 || !strings.Contains(r.stderr, "sotto-elsewhere-v9") || !strings.Contains(r.stderr, "0909000000000000") {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(dir, "b.wav")); err == nil {
		t.Error("an output was written")
	}
}

// TestInterrupt: Ctrl-C while the input stalls ends the program and removes the
// temporary file.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot send an interrupt to a child")
	}
	dir := t.TempDir()
	wav := speech(t, filepath.Join(t.TempDir(), "a.wav"), 16000, 1, 32000)
	cmd := exec.Command(program, "encode", "-", "x.sotto")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	io.Copy(in, bytes.NewReader(wav[:20000]))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if entries, _ := os.ReadDir(dir); len(entries) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no temporary file appears")
		}
	}
	cmd.Process.Signal(os.Interrupt)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the program goes on after an interrupt")
	}
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestModelCommands(t *testing.T) {
	info := keys(t, runs(t, "", nil, "info", "--json", "default").stdout)
	for _, key := range []string{"samples", "sample_rate", "channels", "frames", "codebooks", "bitrate", "model", "fingerprint", "latency_ms", "parameters"} {
		if info[key] == nil {
			t.Errorf("info of a model lacks %q", key)
		}
	}
	if info["latency_ms"].(float64) > 60 {
		t.Errorf("algorithmic latency %v ms", info["latency_ms"])
	}
	if r := runs(t, "", nil, "models"); r.code != 0 || !strings.Contains(r.stdout, info["fingerprint"].(string)) {
		t.Errorf("models: %+v", r)
	}
	if testing.Short() {
		return
	}
	bench := keys(t, runs(t, "", nil, "bench", "--json", "--seconds", "1").stdout)
	for _, key := range []string{"peak_gflops", "encode_peak_share", "decode_peak_share", "gemm_gflops", "encode_rtf", "decode_rtf", "rtf", "step_ms_median", "step_ms_p99"} {
		if v, ok := bench[key].(float64); !ok || v <= 0 {
			t.Errorf("bench: %s is %v", key, bench[key])
		}
	}
	for i, name := range []string{"f32", "bf16", "int8"} {
		p, _ := bench["precisions"].([]any)[i].(map[string]any)
		if v, _ := p["decode_rtf"].(float64); p["precision"] != name || v <= 0 {
			t.Errorf("bench: precision %s: %v", name, p)
		}
	}
}

func TestEvalCodec(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "one"), 0o777); err != nil {
		t.Fatal(err)
	}
	speech(t, filepath.Join(dir, "one", "a.wav"), 16000, 1, 24000)
	table := "path\tseconds\tsplit\none/a.wav\t1.5\tvalid\none/none.wav\t1\ttrain\ntwo/none.wav\t1\tvalid\n"
	if err := os.WriteFile(filepath.Join(dir, "m.tsv"), []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	r := runs(t, dir, nil, "eval", "codec", "--data", "m.tsv", "--source", "one", "--json", "--clips")
	if r.code != 0 {
		t.Fatal(r)
	}
	v := keys(t, r.stdout)
	if v["clips"] != 1.0 || v["seconds"] != 1.5 {
		t.Errorf("%v clips, %v seconds", v["clips"], v["seconds"])
	}
	for _, measure := range []string{"estoi", "mel", "si_sdr"} {
		figures := v[measure].(map[string]any)
		for _, step := range v["steps"].([]any) {
			if _, ok := figures[step.(string)].(float64); !ok {
				t.Errorf("%s at %v is %v", measure, step, figures[step.(string)])
			}
		}
	}
	if r := runs(t, dir, nil, "eval", "codec", "--data", "m.tsv", "--split", "test"); r.code != 1 || !strings.Contains(r.stderr, `split "test"`) {
		t.Errorf("%+v", r)
	}
}

// TestCompletion: the scripts are taken by their shells, where they are
// installed.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		r := runs(t, "", nil, "completion", shell)
		if r.code != 0 || !strings.Contains(r.stdout, "encode") || !strings.Contains(r.stdout, "bitrate") {
			t.Errorf("completion %s: %+v", shell, r)
		}
		if path, err := exec.LookPath(shell); err == nil {
			check := exec.Command(path, "-n")
			check.Stdin = strings.NewReader(r.stdout)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", shell, err, out)
			}
		}
	}
	path, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed: completion itself is not tested")
	}
	script := runs(t, "", nil, "completion", "bash").stdout +
		"\nCOMP_WORDS=(sotto encode --bit) COMP_CWORD=2; _sotto; echo \"${COMPREPLY[@]}\"" +
		"\nCOMP_WORDS=(sotto deco) COMP_CWORD=1; _sotto; echo \"${COMPREPLY[@]}\""
	run := exec.Command(path)
	run.Stdin = strings.NewReader(script)
	run.Dir = t.TempDir()
	out, err := run.Output()
	if err != nil || string(out) != "--bitrate\ndecode\n" {
		t.Errorf("bash completes to %q, %v", out, err)
	}
}
