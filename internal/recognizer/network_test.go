package recognizer

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/weights"
)

// small is a network of the default shape with fewer channels and random weights.
func small(t testing.TB) *Network {
	t.Helper()
	c := DefaultConfig()
	c.Inputs, c.Width, c.Blocks, c.Left, c.Heads = 12, 16, 2, 5, 2
	n, err := NewNetwork(c)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	n.Init(rng)
	for _, p := range n.Params() {
		if len(p.Shape) == 1 {
			for i := range p.Data {
				p.Data[i] += float32(0.1 * rng.NormFloat64())
			}
		}
	}
	return n
}

func latents(n *Network, frames int, seed uint64) *backend.Tensor {
	rng := rand.New(rand.NewPCG(seed, 2))
	x := backend.Host(make([]float32, frames*n.Inputs), frames, n.Inputs)
	for i := range x.Data {
		x.Data[i] = float32(rng.NormFloat64())
	}
	return x
}

// Any number of whole chunks a step, and a short last one, gives the bits of the
// whole.
func TestChunkedEqualsWhole(t *testing.T) {
	n := small(t)
	rng := rand.New(rand.NewPCG(3, 3))
	device := cpu.New(2)
	for _, chunk := range []int{4, 8, 16, 48} {
		const frames = 212
		x := latents(n, frames, uint64(chunk))
		s := nn.NewStream(device, 1)
		s.Chunk = chunk
		whole := Apply(s, n, x, nil)
		if whole.Rows != frames || whole.Cols != Outputs {
			t.Fatalf("%d frames give [%d, %d]", frames, whole.Rows, whole.Cols)
		}
		for range 4 {
			s := nn.NewStream(device, 1)
			s.Chunk = chunk
			var got []float32
			for at := 0; at < frames; {
				to := min(frames, at+chunk*(1+rng.IntN(3)))
				s.Begin()
				got = append(got, Apply(s, n, x.Slice(at, to), nil).Data...)
				at = to
			}
			for i, want := range whole.Data {
				if math.Float32bits(got[i]) != math.Float32bits(want) {
					t.Fatalf("chunk %d: value %d is %v, want %v", chunk, i, got[i], want)
				}
			}
		}
	}
}

// A row of scores sees its chunk and no more: Delay rows later than the latents, so
// that a chunk and Delay rows are the latency.
func TestRowsSeeTheirChunk(t *testing.T) {
	n := small(t)
	const frames, chunk = 96, 16
	run := func(x *backend.Tensor) *backend.Tensor {
		s := nn.NewStream(cpu.New(1), 1)
		s.Chunk = chunk
		return Apply(s, n, x, nil)
	}
	x := latents(n, frames, 9)
	before := run(x)
	for changed := range frames {
		y := backend.Host(slices.Clone(x.Data), frames, n.Inputs)
		for c := range n.Inputs {
			y.Row(changed)[c] += float32(c) // a norm hides a constant
		}
		after := run(y)
		first := 0
		for first < after.Rows && slices.Equal(before.Row(first), after.Row(first)) {
			first++
		}
		if start := changed / chunk * chunk; first < start {
			t.Errorf("frame %d changes row %d, which is before its chunk", changed, first)
		}
	}
	if n.Delay() != n.Lookahead*Fast {
		t.Errorf("delay of %d rows, want %d", n.Delay(), n.Lookahead*Fast)
	}
}

func TestCheckpointRoundTrip(t *testing.T) {
	c := &Checkpoint{Name: "small", Network: small(t), Search: Search{BeginShift: -20, LMWeight: 0.5, Languages: "en"}}
	c.Codec[3] = 7
	data, err := c.Marshal(false)
	if err != nil {
		t.Fatal(err)
	}
	back, sum, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if back.Name != c.Name || back.Codec != c.Codec || back.Search != c.Search || back.Network.Config != c.Network.Config {
		t.Errorf("got %+v", back)
	}
	for i, p := range c.Network.running() {
		if !slices.Equal(p.Data, back.Network.running()[i].Data) {
			t.Errorf("%s changed", p.Name)
		}
	}
	half, err := c.Marshal(true)
	if err != nil {
		t.Fatal(err)
	}
	if _, other, err := Unmarshal(half); err != nil || other == sum {
		t.Errorf("half precision: fingerprint %v, %v", other, err)
	}
}

func TestDamagedCheckpointsAreRefused(t *testing.T) {
	c := &Checkpoint{Name: "small", Network: small(t)}
	good, err := c.Marshal(true)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(f *weights.File){
		"of family":     func(f *weights.File) { f.Metadata["family"] = "sotto" },
		"fingerprint":   func(f *weights.File) { f.Metadata["codec"] = "12" },
		"configuration": func(f *weights.File) { f.Metadata["config"] = "[" },
		"search":        func(f *weights.File) { f.Metadata["search"] = "{" },
		"out of range":  func(f *weights.File) { f.Metadata["config"] = `{"width":1000000000}` },
		"output.bias":   func(f *weights.File) { delete(f.Tensors, "output.bias") },
	} {
		f, err := weights.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		edit(f)
		data, err := f.Bytes(true)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Unmarshal(data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	c := &Checkpoint{Name: "small", Network: small(f)}
	good, _ := c.Marshal(true)
	f.Add(good)
	f.Add(good[:100])
	f.Fuzz(func(t *testing.T, data []byte) { Unmarshal(data) })
}

func TestLabels(t *testing.T) {
	labels, ok := Labels("it's a z")
	if !ok || !slices.Equal(labels, []int32{11, 22, 2, 21, 1, 3, 1, 28}) || Text(labels) != "it's a z" {
		t.Errorf("labels %v", labels)
	}
	if _, ok := Labels("3"); ok {
		t.Error("a digit has a symbol")
	}
}

func TestLogSoftmax(t *testing.T) {
	row := []float32{1, 2, 3, 90}
	LogSoftmax(row)
	var sum float64
	for _, v := range row {
		sum += math.Exp(float64(v))
	}
	if math.Abs(sum-1) > 1e-6 || row[3] > 0 {
		t.Errorf("log-probabilities %v", row)
	}
}
