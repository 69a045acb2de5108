package whisper

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/sotto-audio/sotto/internal/weights"
)

// small is the model in testdata/files.
var small = dims{Mels: 4, AudioContext: 24, AudioWidth: 32, AudioHeads: 2, AudioLayers: 1, Vocabulary: 64, TextContext: 16, TextWidth: 32, TextHeads: 2, TextLayers: 1}

func TestFormatsHoldTheSameModel(t *testing.T) {
	for _, name := range []string{"original.pt", "transformers", "transformers/model.safetensors", "ggml-model.bin", "ggml-model-f32.bin"} {
		c, err := openCheckpoint(filepath.Join("testdata", "files", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		defer c.Close()
		if c.dims != small {
			t.Errorf("%s: sizes %+v", name, c.dims)
		}
		for tensor, shape := range synthShapes(small) {
			got, err := c.tensor(tensor, shape...)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for i, v := range synthTensor(tensor, shape).Data {
				if want := weights.FromFloat16(weights.Float16(v)); math.Abs(float64(got[i]-want)) > 1e-3*math.Abs(float64(want))+1e-7 {
					// Sinusoids may differ in the last bit before they are rounded.
					t.Errorf("%s: value %d of %s is %g, want %g", name, i, tensor, got[i], want)
					break
				}
			}
		}
		if _, err := c.tensor("encoder.conv1.weight", 32, 3, 4); err == nil {
			t.Errorf("%s: a wrong shape passes", name)
		}
	}
	if _, err := openCheckpoint("testdata/files"); err == nil {
		t.Error("a folder without model passes")
	}
	if _, err := openCheckpoint("testdata/make.py"); err == nil {
		t.Error("a text passes")
	}
}

// quantise writes a value block the plain way, as ggml's documentation of its
// types has it.
func TestQuantisedBlocks(t *testing.T) {
	const d, m = 0.5, -3
	put := func(kind int) []byte {
		var b []byte
		b = binary.LittleEndian.AppendUint16(b, weights.Float16(d))
		if kind == 3 || kind == 7 {
			b = binary.LittleEndian.AppendUint16(b, weights.Float16(m))
		}
		return b
	}
	// Value i of a block is q = i mod levels.
	for kind, levels := range map[int]int{2: 16, 3: 16, 6: 32, 7: 32, 8: 256} {
		b := put(kind)
		if levels == 32 {
			var high uint32
			for i := range 32 {
				high |= uint32(i%levels>>4) << i
			}
			b = binary.LittleEndian.AppendUint32(b, high)
		}
		if levels == 256 {
			for i := range 32 {
				b = append(b, byte(i*8-128))
			}
		} else {
			for i := range 16 {
				b = append(b, byte(i%levels&15|(i+16)%levels&15<<4))
			}
		}
		k := ggmlKinds[kind]
		if len(b) != k.bytes {
			t.Fatalf("type %d: %d bytes, not %d", kind, len(b), k.bytes)
		}
		got := make([]float32, 32)
		k.get(got, b)
		for i, v := range got {
			want := map[int]float32{
				2: d * float32(i%16-8), 3: d*float32(i%16) + m, 6: d * float32(i-16), 7: d*float32(i) + m, 8: d * float32(i*8-128),
			}[kind]
			if v != want {
				t.Errorf("type %d: value %d is %g, want %g", kind, i, v, want)
			}
		}
	}
}

func FuzzGGML(f *testing.F) {
	for _, name := range []string{"ggml-model.bin", "ggml-model-f32.bin"} {
		data, err := os.ReadFile(filepath.Join("testdata", "files", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:8000])
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4 {
			return
		}
		c, err := openGGML(bytes.NewReader(data), int64(len(data)))
		if err != nil || c.dims.check() != nil {
			return
		}
		for name, shape := range synthShapes(small) {
			if v, err := c.tensor(name, shape...); err == nil && len(v) > 2*len(data) {
				t.Errorf("%s has %d values in %d bytes", name, len(v), len(data))
			}
		}
	})
}
