package codec

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// documented is the example of FORMAT.md.
func documented(t testing.TB) []byte {
	h := Header{
		Model: "demo", Fingerprint: Fingerprint{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF},
		ModelRate: 16000, HopLength: 320, SampleRate: 16000, Channels: 2, Bits: 16, Samples: -1,
		CodebookSizes: []int{5, 1024},
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, h, WithPacketFrames(2))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrames([][]int32{{4, 1023, 0, 1, 2, 512}, {1, 0, 3, 77, 4, 4}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(900); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFormatExample(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "```hex\n")
	block, _, closed := strings.Cut(block, "```")
	if !ok || !closed {
		t.Fatal("FORMAT.md has no hex block")
	}
	var digits strings.Builder
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	want, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	if got := documented(t); !bytes.Equal(got, want) {
		t.Fatalf("the example of FORMAT.md differs from what is written:\n% x", got)
	}
}

// The specification, implemented a second time in another language, reads what
// the Writer wrote.
func TestPythonReader(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not there")
	}
	rng := rand.New(rand.NewPCG(20, 21))
	for _, sizes := range [][]int{{1024, 1024}, {468, 1024, 3}, {1 << 24, 1 << 24, 300, 5, 7, 1 << 20}, {2}} {
		h := testHeader(1+rng.IntN(3), sizes...)
		const frames = 37
		codes := randomCodes(rng, h, frames)
		path := filepath.Join(t.TempDir(), "test.sotto")
		if err := os.WriteFile(path, writeFile(t, h, codes, 10), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "testdata/read_sotto.py", path).Output()
		if err != nil {
			t.Fatalf("%v", err)
		}
		var got struct {
			Model         string
			Fingerprint   string
			ModelRate     int   `json:"model_rate"`
			HopLength     int   `json:"hop_length"`
			SampleRate    int   `json:"sample_rate"`
			CodebookSizes []int `json:"codebook_sizes"`
			Channels      int
			Bits          int
			Samples       int64
			Codes         [][]int32
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Codes, codes) {
			t.Fatalf("%v: codes differ", sizes)
		}
		line := fmt.Sprintln(got.Model, got.Fingerprint, got.ModelRate, got.HopLength, got.SampleRate, got.CodebookSizes, got.Channels, got.Bits, got.Samples)
		want := fmt.Sprintln(h.Model, h.Fingerprint, h.ModelRate, h.HopLength, h.SampleRate, h.CodebookSizes, h.Channels, h.Bits, samplesOf(h, frames))
		if line != want {
			t.Fatalf("%s, want %s", line, want)
		}
	}
}
