package tflite

import (
	"encoding/binary"
	"math"
	"os"
	"slices"
	"testing"
)

func readModel(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/model.tflite")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The model of testdata/make.py has every operator; its outputs are those of
// TensorFlow Lite's reference kernels, bit for bit, over several steps of its
// state.
func TestRunEqualsTensorFlowLite(t *testing.T) {
	m, err := Parse(readModel(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/values.f32")
	if err != nil {
		t.Fatal(err)
	}
	var values []float32
	for ; len(raw) > 0; raw = raw[4:] {
		values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	s := p.New()
	for range 2 { // the second time after Reset
		rest, steps := values, 0
		for ; len(rest) > 0; steps++ {
			x := s.Floats(p.Inputs[0])
			rest = rest[copy(x, rest):]
			s.Run()
			for k, out := range p.Outputs {
				got := s.Floats(out)
				if want := rest[:len(got)]; !slices.Equal(got, want) {
					t.Fatalf("step %d output %d: %v, TensorFlow Lite gives %v", steps, k, got, want)
				}
				rest = rest[len(got):]
			}
		}
		if steps != 12 {
			t.Errorf("%d steps", steps)
		}
		s.Reset()
	}
	if n := testing.AllocsPerRun(5, s.Run); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}

// Sessions share a program, not its state.
func TestSessionsAreApart(t *testing.T) {
	m, err := Parse(readModel(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b := p.New(), p.New()
	for i := range 4 {
		for k := range a.Floats(p.Inputs[0]) {
			a.Floats(p.Inputs[0])[k] = float32(i+k) / 10
		}
		a.Run()
	}
	for i := range 4 {
		for k := range b.Floats(p.Inputs[0]) {
			b.Floats(p.Inputs[0])[k] = float32(i+k) / 10
		}
		b.Run()
	}
	if x, y := a.Floats(p.Outputs[0]), b.Floats(p.Outputs[0]); !slices.Equal(x, y) {
		t.Errorf("%v and %v", x, y)
	}
}

// A product is rounded twice, each time by half a unit at most.
func TestMultiplier(t *testing.T) {
	for _, scale := range []float64{0.5, 1, 0.75, 1e-4, 3.999, 0.3} {
		m := newMultiplier(scale)
		for _, x := range []int32{0, 1, -1, 5, -5, 1000, -1001, 123456, -654321} {
			got, want := float64(m.times(x)), float64(x)*scale
			if math.Abs(got-want) > 1+math.Abs(want)*1e-9 {
				t.Errorf("%d·%g = %g", x, scale, got)
			}
		}
	}
	if got := newMultiplier(0.5).times(-5); got != -2 {
		t.Errorf("-5/2 = %d, not -2: halves go upwards", got)
	}
	if got := doublingHigh(math.MinInt32, math.MinInt32); got != math.MaxInt32 {
		t.Errorf("the product that overflows is %d", got)
	}
}

func load(data []byte) {
	m, err := Parse(data)
	if err != nil {
		return
	}
	for i, g := range m.Graphs {
		size := 0
		for _, t := range g.Tensors {
			size += t.Len()
		}
		if size > 1<<16 {
			continue
		}
		if p, err := Compile(m, i); err == nil {
			p.New().Run()
		}
	}
}

func TestDamagedModels(t *testing.T) {
	data := readModel(t)
	for n := range len(data) {
		load(data[:n])
	}
	for i := range data {
		damaged := slices.Clone(data)
		damaged[i] ^= 0x55
		load(damaged)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(readModel(f))
	f.Fuzz(func(_ *testing.T, data []byte) { load(data) })
}
