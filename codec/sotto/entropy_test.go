package sotto

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/codec"
)

// file writes codes of the sample that ships as a .sotto file.
func file(t testing.TB, m *Model, codes []int32, books int, opts ...codec.WriterOption) []byte {
	t.Helper()
	i := m.Info()
	var b bytes.Buffer
	w, err := codec.NewWriter(&b, codec.Header{
		Model: i.Name, Fingerprint: i.Fingerprint, ModelRate: i.SampleRate, HopLength: i.HopLength,
		SampleRate: i.SampleRate, Channels: 1, Samples: -1, CodebookSizes: i.CodebookSizes[:books],
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrames([][]int32{codes}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(int64(len(codes) / books * i.HopLength)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read gives the codes of a file and how many packets are lost.
func read(t testing.TB, data []byte) (codes []int32, lost int) {
	t.Helper()
	r, err := codec.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			return codes, lost
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Lost {
			lost++
			codes = append(codes, make([]int32, p.Frames*len(r.Header().CodebookSizes))...)
			continue
		}
		codes = append(codes, p.Codes[0]...)
	}
}

const entropyHashes = "testdata/entropy.tsv"

// The released entropy coder belongs to the released weights, gives back the
// tokens of real speech at every bitrate in fewer bytes, and gives the same
// bytes on every machine: those of the committed table.
func TestReleasedEntropyCoder(t *testing.T) {
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	e, err := codec.EntropyOf(m.Info())
	if err != nil {
		t.Fatalf("%v", err)
	}
	lines := []string{"network\t" + e.ID().String()}
	tokens, err := m.Encode(context.Background(), clip(t, 1, 2.5), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, books := range m.Info().Levels {
		var codes []int32
		for f := range tokens.Frames {
			codes = append(codes, tokens.Frame(f)[:books]...)
		}
		packed, coded := file(t, m, codes, books), file(t, m, codes, books, codec.WithEntropy(e))
		if len(coded) >= len(packed) {
			t.Errorf("%d codebooks: %d bytes, %d bit-packed", books, len(coded), len(packed))
		}
		back, lost := read(t, coded)
		if fmt.Sprint(back) != fmt.Sprint(codes) || lost > 0 {
			t.Errorf("%d codebooks: other codes came back, %d packets lost", books, lost)
		}
		lines = append(lines, fmt.Sprintf("file at %g bit/s\t%x", m.Info().Bitrates[i], sha256.Sum256(coded)))
	}
	text := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(entropyHashes, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(entropyHashes)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(string(want), "\r", ""); got != text {
		t.Errorf("got\n%s\nwant\n%s", text, got)
	}
}

// A damaged byte costs the packet that it is in.
func TestEntropyDamageCostsOnePacket(t *testing.T) {
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	e, err := codec.EntropyOf(m.Info())
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := m.Encode(context.Background(), clip(t, 0, 4), 6)
	if err != nil {
		t.Fatal(err)
	}
	data := file(t, m, tokens.Codes, 6, codec.WithEntropy(e))
	for at := 120; at < len(data)-60; at += 37 {
		damaged := bytes.Clone(data)
		damaged[at] ^= 0x10
		codes, lost := read(t, damaged)
		wrong := 0
		for i := 0; i < len(codes); i += 50 * 6 {
			if fmt.Sprint(codes[i:min(i+300, len(codes))]) != fmt.Sprint(tokens.Codes[i:min(i+300, len(codes))]) {
				wrong++
			}
		}
		if lost != 1 || wrong != 1 || len(codes) != len(tokens.Codes) {
			t.Fatalf("byte %d: %d packets lost, %d differ, %d codes of %d", at, lost, wrong, len(codes), len(tokens.Codes))
		}
	}
}

func BenchmarkEntropy(b *testing.B) {
	m, err := Default()
	if err != nil {
		b.Fatal(err)
	}
	e, err := codec.EntropyOf(m.Info())
	if err != nil {
		b.Fatal(err)
	}
	for _, books := range []int{2, 6, 8} {
		tokens, err := m.Encode(context.Background(), clip(b, 0, 5), books)
		if err != nil {
			b.Fatal(err)
		}
		data := file(b, m, tokens.Codes, books, codec.WithEntropy(e))
		rate := func(b *testing.B) {
			b.ReportMetric(5*float64(b.N)/b.Elapsed().Seconds(), "×realtime")
		}
		b.Run(fmt.Sprintf("encode/%d codebooks", books), func(b *testing.B) {
			for b.Loop() {
				file(b, m, tokens.Codes, books, codec.WithEntropy(e))
			}
			rate(b)
		})
		b.Run(fmt.Sprintf("decode/%d codebooks", books), func(b *testing.B) {
			for b.Loop() {
				read(b, data)
			}
			rate(b)
		})
	}
}
