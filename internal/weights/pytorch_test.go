package weights

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func readCheckpoint(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// ramp is the formula of testdata/make.py.
func ramp(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(i)*0.5 - 3
	}
	return out
}

func TestPyTorchCheckpointsHoldWhatPyTorchWrote(t *testing.T) {
	whole := func(v []float32) []float32 {
		for i := range v {
			v[i] = float32(int(v[i]))
		}
		return v
	}
	transposed := make([]float32, 24)
	var part []float32
	for i, v := range ramp(24) {
		transposed[i%6*4+i/6] = v
		if row, col := i/6, i%6; row >= 1 && row < 3 && col%2 == 0 {
			part = append(part, v)
		}
	}
	want := map[string]Tensor{
		"state_dict.0.weight":              {[]int{2, 3}, ramp(6)},
		"state_dict.0.bias":                {[]int{2}, ramp(2)},
		"state_dict.1.weight":              {[]int{2}, ramp(2)},
		"state_dict.1.running_var":         {[]int{2}, []float32{1, 1}},
		"state_dict.1.num_batches_tracked": {[]int{}, []float32{0}},
		"parameter":                        {[]int{2, 2}, ramp(4)},
		"transposed":                       {[]int{6, 4}, transposed},
		"part":                             {[]int{2, 3}, part},
		"scalar":                           {[]int{}, []float32{7}},
		"empty":                            {[]int{0, 5}, nil},
		"types.float16":                    {[]int{5}, ramp(5)},
		"types.bfloat16":                   {[]int{5}, ramp(5)},
		"types.float64":                    {[]int{5}, ramp(5)},
		"types.int64":                      {[]int{5}, whole(ramp(5))},
		"types.int32":                      {[]int{5}, whole(ramp(5))},
		"types.int16":                      {[]int{5}, whole(ramp(5))},
		"types.int8":                       {[]int{5}, whole(ramp(5))},
		"bytes":                            {[]int{3}, []float32{0, 1, 255}},
		"bools":                            {[]int{2}, []float32{1, 0}},
		"list.2.deep":                      {[]int{1}, ramp(1)},
		"ordered.b":                        {[]int{2}, ramp(2)},
	}
	values := map[string]any{
		"epoch": int64(12), "lr": 0.25, "name": "dé", "list.0": int64(1), "list.1.0": 2.5,
		"hyper_parameters.width": int64(8), "ordered.a": int64(1),
	}
	for _, file := range []string{"new.pt", "old.pt"} {
		data := readCheckpoint(t, file)
		p, err := OpenPyTorch(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for name, w := range want {
			got, err := p.Tensor(name)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if !slices.Equal(got.Shape, w.Shape) || !slices.Equal(got.Data, w.Data) {
				t.Errorf("%s: %s is %v %v, want %v %v", file, name, got.Shape, got.Data, w.Shape, w.Data)
			}
		}
		for name, w := range values {
			if got, ok := p.Value(name); !ok || got != w {
				t.Errorf("%s: %s is %v, want %v", file, name, got, w)
			}
		}
		if n := len(p.Names()); n < len(want) {
			t.Errorf("%s: %d tensors, want at least %d", file, n, len(want))
		}
	}
}

func TestCheckpointsThatRunCodeAreRefused(t *testing.T) {
	data := readCheckpoint(t, "attack.pt")
	_, err := OpenPyTorch(bytes.NewReader(data), int64(len(data)))
	if err == nil || !strings.Contains(err.Error(), "posix.system") {
		t.Errorf("the error does not name what the file would run: %v", err)
	}
}

// A file that is cut off anywhere, or whose bytes are damaged, never panics and
// never passes whole; values are then missing or wrong, but within bounds.
func TestDamagedCheckpoints(t *testing.T) {
	for _, file := range []string{"new.pt", "old.pt"} {
		data := readCheckpoint(t, file)
		for n := range len(data) {
			if p, err := OpenPyTorch(bytes.NewReader(data[:n]), int64(n)); err == nil {
				t.Fatalf("%s: %d of %d bytes pass for a checkpoint of %d tensors", file, n, len(data), len(p.Names()))
			}
		}
		for i := range data {
			damaged := slices.Clone(data)
			damaged[i] ^= 0xff
			readAll(damaged)
		}
	}
}

func readAll(data []byte) {
	p, err := OpenPyTorch(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return
	}
	for _, name := range p.Names() {
		// Errors are fine here.
		_, _ = p.Tensor(name)
	}
}

func FuzzPyTorch(f *testing.F) {
	for _, file := range []string{"new.pt", "old.pt", "attack.pt"} {
		f.Add(readCheckpoint(f, file))
	}
	f.Fuzz(func(_ *testing.T, data []byte) { readAll(data) })
}
