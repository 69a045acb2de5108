package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/internal/entropy"
)

// testEntropy is an untrained network for codes of testHeader's weights: of up to
// three codebooks of 128 entries.
var testEntropy = sync.OnceValue(func() *Entropy {
	rng := rand.New(rand.NewPCG(40, 41))
	c := entropy.Config{Codebooks: 3, Size: 128, Dim: 6, Lags: 2, Means: []int{2}, Trunk: 10, Hidden: 12, Out: 7,
		TrunkShift: 5, HiddenShift: 5, OutShift: 5, NodeShift: 7}
	var w entropy.Weights
	for range c.Codebooks {
		for _, r := range rng.Perm(128)[:c.Size] {
			w.Ranks = append(w.Ranks, uint16(r))
		}
	}
	shorts := func(n int) (v []int16) {
		for range n {
			v = append(v, int16(rng.IntN(200)-128))
		}
		return v
	}
	bytes := func(n int) (v []int8) {
		for range n {
			v = append(v, int8(rng.IntN(256)-128))
		}
		return v
	}
	ints := func(n int) (v []int32) {
		for range n {
			v = append(v, int32(rng.IntN(2000)-1280))
		}
		return v
	}
	words := func(n int) (v []uint16) {
		for range n {
			v = append(v, uint16(1+rng.IntN(65535)))
		}
		return v
	}
	w.Embedding, w.Trunk, w.TrunkBias = bytes(3*128*6), shorts(18*10), ints(3*10)
	w.Skip, w.Mix, w.Part, w.Bias = shorts(18*12), shorts(10*12), shorts(3*6*12), ints(3*12)
	w.Out, w.OutBias, w.Nodes, w.NodeBias = shorts(3*12*7), ints(3*7), bytes(3*128*7), ints(3*128)
	w.Static, w.Sigmoid = words(3*128), words(4096)
	slices.Sort(w.Sigmoid)
	n, err := entropy.NewNetwork(c, w)
	if err != nil {
		panic(err)
	}
	data, err := n.Marshal([8]byte{1, 2, 3, 4, 5, 6, 7, 8})
	if err != nil {
		panic(err)
	}
	e, err := LoadEntropy(data)
	if err != nil {
		panic(err)
	}
	RegisterEntropy(func() (*Entropy, error) { return e, nil })
	return e
})

// likely are codes that the network expects: what it reads out of random bytes.
func likely(t testing.TB, rng *rand.Rand, h Header, frames int) [][]int32 {
	t.Helper()
	noise := make([]byte, frames*len(h.CodebookSizes)*h.Channels/2)
	for i := range noise {
		noise[i] = byte(1 + rng.IntN(255))
	}
	c, err := testEntropy().network.NewCoder(len(h.CodebookSizes), false)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if codes, err := c.Decode(noise, h.Channels, frames); err == nil {
			return codes
		}
		noise = noise[:len(noise)-1] // more than the frames need
	}
}

func writeEntropy(t testing.TB, h Header, codes [][]int32, packetFrames int) []byte {
	t.Helper()
	return writeFile(t, h, codes, packetFrames, WithEntropy(testEntropy()))
}

// books are codebooks of the test's network.
func books(n int) []int { return []int{128, 128, 128}[:n] }

func TestEntropyRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(42, 43))
	shorter := 0
	for i := range 60 {
		h := testHeader(1+rng.IntN(3), books(1+rng.IntN(3))...)
		frames := rng.IntN(200)
		codes := randomCodes(rng, h, frames)
		if i%2 == 0 {
			codes = likely(t, rng, h, frames)
		}
		packetFrames := 1 + rng.IntN(60)
		data, packed := writeEntropy(t, h, codes, packetFrames), writeFile(t, h, codes, packetFrames)
		if len(data) > len(packed)+8 { // the network's name
			t.Fatalf("%d bytes, bit-packed %d", len(data), len(packed))
		}
		if len(data) < len(packed) {
			shorter++
		}
		r, err := NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if r.Header().Entropy != testEntropy().ID() {
			t.Fatalf("header names %s", r.Header().Entropy)
		}
		lost, n := checkPackets(t, h, codes, readAll(t, r))
		if len(lost) > 0 || n != int64(frames) || len(r.Damage()) > 0 {
			t.Fatalf("%d packets lost, %d frames of %d, %v", len(lost), n, frames, r.Damage())
		}
	}
	if shorter < 10 {
		t.Errorf("only %d of 60 files are shorter than bit-packed ones: the test sees no coded packets", shorter)
	}
}

func TestEntropyDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(44, 45))
	h := testHeader(2, books(3)...)
	codes := likely(t, rng, h, 200)
	data := writeEntropy(t, h, codes, 10)
	start := bytes.Index(data, []byte{syncByte, packetTag})
	for at := start; at < len(data); at += 1 + rng.IntN(20) {
		damaged := bytes.Clone(data)
		damaged[at] ^= byte(1 + rng.IntN(255))
		r, err := NewReader(bytes.NewReader(damaged))
		if err != nil {
			t.Fatal(err)
		}
		lost, n := checkPackets(t, h, codes, readAll(t, r))
		if len(lost) > 1 || n != 200 || len(r.Damage()) == 0 {
			t.Fatalf("byte %d: packets %v lost, %d frames, %v", at, lost, n, r.Damage())
		}
	}
}

func TestEntropyOfOtherWeightsIsRefused(t *testing.T) {
	h := testHeader(1, books(2)...)
	h.Fingerprint[0]++
	if _, err := NewWriter(io.Discard, h, WithEntropy(testEntropy())); err == nil || !strings.Contains(err.Error(), "weights") {
		t.Errorf("other weights: %v", err)
	}
	h = testHeader(1, 128, 50)
	if _, err := NewWriter(io.Discard, h, WithEntropy(testEntropy())); err == nil || !strings.Contains(err.Error(), "codebooks") {
		t.Errorf("other codebooks: %v", err)
	}
	if _, err := EntropyOf(Info{Name: "none", Fingerprint: Fingerprint{99}}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a model without a network: %v", err)
	}
	// A file whose network is not there is told from a damaged one.
	h = testHeader(1, books(2)...)
	data := writeEntropy(t, h, [][]int32{{1, 2, 3, 4}}, 10)
	at := bytes.Index(data, testEntropy().id[:])
	data[at]++
	r, err := NewReader(bytes.NewReader(reseal(data)))
	if err != nil {
		t.Fatal(err)
	}
	var missing *EntropyError
	if _, err := r.Next(); !errors.As(err, &missing) || missing.Model != h.Model {
		t.Errorf("a network that is not there: %v", err)
	}
}

// The specification, implemented a second time in another language, gives the
// codes that the Writer took.
func TestPythonReadsEntropy(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not there")
	}
	rng := rand.New(rand.NewPCG(46, 47))
	dir := t.TempDir()
	data, err := testEntropy().network.Marshal([8]byte{1, 2, 3, 4, 5, 6, 7, 8})
	if err != nil {
		t.Fatal(err)
	}
	network := filepath.Join(dir, "network.safetensors")
	if err := os.WriteFile(network, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		h := testHeader(1+i%2, books(1+i%3)...)
		codes := likely(t, rng, h, 47)
		path := filepath.Join(dir, "test.sotto")
		if err := os.WriteFile(path, writeEntropy(t, h, codes, 20), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "testdata/read_entropy.py", path, network).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var got [][]int32
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, codes) {
			t.Fatalf("%v: codes differ", h.CodebookSizes)
		}
	}
}
