package sotto

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/audio"
)

var update = flag.Bool("update", false, "rewrite the table of hashes")

const hashTable = "testdata/hashes.tsv"

// clip gives seconds of the sample that ships with the repository.
func clip(t testing.TB, from, seconds float64) []float32 {
	t.Helper()
	channels, _, err := audio.ReadFile(filepath.FromSlash("../../samples/speech.wav"))
	if err != nil {
		t.Fatal(err)
	}
	return channels[0][int(from*16000):][:int(seconds*16000)]
}

// The released model gives the same tokens and the same samples on every
// machine, instruction set and number of threads: those of the committed table.
// GODEBUG=cpu.avx512f=off and the like choose the instruction set.
func TestReleasedModelGivesTheCommittedBits(t *testing.T) {
	pcm := clip(t, 1, 0.6)
	var lines []string
	for _, threads := range []int{1, 3} {
		m, err := Default(WithThreads(threads))
		if err != nil {
			t.Fatal(err)
		}
		t.Log(m.device.Name())
		var now []string
		now = append(now, "fingerprint\t"+m.Info().Fingerprint.String(), "pcm\t"+hash(pcm))
		for i, books := range m.Info().Levels {
			tokens, err := m.Encode(context.Background(), pcm, books)
			if err != nil {
				t.Fatal(err)
			}
			wave, err := m.Decode(context.Background(), tokens)
			if err != nil {
				t.Fatal(err)
			}
			now = append(now,
				fmt.Sprintf("tokens at %g bit/s\t%s", m.Info().Bitrates[i], hash(tokens.Codes)),
				fmt.Sprintf("samples at %g bit/s\t%s", m.Info().Bitrates[i], hash(wave)))
		}
		tokens, err := m.Encode(context.Background(), pcm, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range precisions[1:] {
			wave, err := must(m.In(p)).Decode(context.Background(), tokens)
			if err != nil {
				t.Fatal(err)
			}
			now = append(now, fmt.Sprintf("samples in %s\t%s", p, hash(wave)))
		}
		se, err := StructuralEntropy(WithThreads(threads))
		if err != nil {
			t.Fatal(err)
		}
		now = append(now, "fingerprint with codebooks by structural entropy\t"+se.Info().Fingerprint.String())
		if tokens, err = se.Encode(context.Background(), pcm, 0); err != nil {
			t.Fatal(err)
		}
		wave, err := se.Decode(context.Background(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		now = append(now, "its tokens\t"+hash(tokens.Codes), "its samples\t"+hash(wave))
		if lines != nil && !slices.Equal(lines, now) {
			t.Fatalf("with %d threads:\n%s\nwith one:\n%s", threads, strings.Join(now, "\n"), strings.Join(lines, "\n"))
		}
		lines = now
	}
	if *update {
		if err := os.WriteFile(hashTable, []byte(strings.Join(lines, "\n")+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(hashTable)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var want []string
	for s := bufio.NewScanner(f); s.Scan(); {
		want = append(want, s.Text())
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// hash is the first half of the SHA-256 of values in little-endian order.
func hash[T int32 | float32](values []T) string {
	h := sha256.New()
	var b [4]byte
	for _, v := range values {
		switch v := any(v).(type) {
		case int32:
			binary.LittleEndian.PutUint32(b[:], uint32(v))
		case float32:
			binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		}
		h.Write(b[:])
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// Random chunks, from single samples up, through the released model.
func TestReleasedModelStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("the small model of TestChunkedEqualsWhole runs on every path")
	}
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	checkChunks(t, m, clip(t, 0, 4), 11)
	if m, err = StructuralEntropy(); err != nil {
		t.Fatal(err)
	}
	checkChunks(t, m, clip(t, 0, 4), 12)
}

// A released codec neither shouts nor whispers: the decoded sample has the level
// of the original.
func TestReleasedModelKeepsTheLevel(t *testing.T) {
	if testing.Short() {
		t.Skip("slow on portable code")
	}
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	pcm := clip(t, 0, 5)
	tokens, err := m.Encode(context.Background(), pcm, 0)
	if err != nil {
		t.Fatal(err)
	}
	wave, err := m.Decode(context.Background(), tokens)
	if err != nil {
		t.Fatal(err)
	}
	db := 10 * math.Log10(energy(wave)/energy(pcm))
	if math.Abs(db) > 1.5 {
		t.Errorf("the decoded sample is %+.1f dB louder than the original", db)
	}
}

func energy(x []float32) (s float64) {
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

func BenchmarkEncodeDecode(b *testing.B) {
	m, err := Default(WithThreads(1))
	if err != nil {
		b.Fatal(err)
	}
	pcm := clip(b, 0, 5)
	var tokens []int32
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			t, err := m.Encode(context.Background(), pcm, 0)
			if err != nil {
				b.Fatal(err)
			}
			tokens = t.Codes
		}
		b.ReportMetric(5*float64(b.N)/b.Elapsed().Seconds(), "×realtime")
	})
	b.Run("decode", func(b *testing.B) {
		d, _ := m.NewDecoder(0)
		var out []float32
		for b.Loop() {
			out, _ = d.Decode(out[:0], tokens)
		}
		b.ReportMetric(5*float64(b.N)/b.Elapsed().Seconds(), "×realtime")
	})
}

func BenchmarkDecodePrecision(b *testing.B) {
	m, err := Default(WithThreads(1))
	if err != nil {
		b.Fatal(err)
	}
	tokens, err := m.Encode(context.Background(), clip(b, 0, 5), 0)
	if err != nil {
		b.Fatal(err)
	}
	for _, frames := range []int{1, tokens.Frames} {
		for _, p := range []Precision{Float32, BFloat16, Int8} {
			b.Run(fmt.Sprintf("%d frames/%s", frames, p), func(b *testing.B) {
				d, err := must(m.In(p)).NewDecoder(0)
				if err != nil {
					b.Fatal(err)
				}
				codes := tokens.Codes[:frames*tokens.Codebooks]
				var out []float32
				for b.Loop() {
					out, _ = d.Decode(out[:0], codes)
				}
				b.ReportMetric(0.02*float64(frames)*float64(b.N)/b.Elapsed().Seconds(), "×realtime")
			})
		}
	}
}
