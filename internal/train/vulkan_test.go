package train

import (
	"math"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/device"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// TestVulkanStep trains a recogniser for one step on a graphics processor, or what
// stands in for one: its loss, its gradients and its weights after the step are those
// of the processor.
func TestVulkanStep(t *testing.T) {
	gpu, err := device.Open(device.Vulkan, 1)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	type result struct {
		loss               float64
		gradients, weights [][]float32
	}
	step := func(b backend.Backend) (r result) {
		c, n, weights, rng := smallRecogniser(t, 16, 32)
		tape := NewTape(b, weights, 0, rng)
		const rows = 48
		lengths, labels := []int{48, 28}, [][]int32{{3, 4, 4, 1, 9}, {7, 2}}
		x := backend.Host(make([]float32, 2*rows*c.Inputs), 2*rows, c.Inputs)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64())
		}
		var ctc CTC
		s := tape.Begin(2)
		s.Chunk, s.Lengths = 8, lengths
		out := recognizer.Apply(tape, n, tape.Input(x), nil)
		s.Wait()
		out.Grad = s.Tensor(out.Rows, out.Cols)
		clear(out.Grad.Data)
		for i := range lengths {
			from, to := i*out.Rows/2, i*out.Rows/2+lengths[i]
			r.loss += ctc.Loss(out.Grad.Slice(from, to), out.Slice(from, to), labels[i], 1)
		}
		tape.Backward()
		for _, w := range weights {
			m, v := make([]float32, len(w.Data)), make([]float32, len(w.Data))
			b.AdamWStep(w.Data, w.Gradient, m, v, backend.AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, Scale: 1, Step: 1})
			r.gradients, r.weights = append(r.gradients, w.Gradient), append(r.weights, w.Data)
		}
		s.Wait()
		return r
	}
	want, got := step(cpu.New(1)), step(gpu)
	if math.Abs(got.loss-want.loss) > 1e-4*want.loss {
		t.Errorf("loss %g, the processor has %g", got.loss, want.loss)
	}
	var differ, size, moved float64
	for i, w := range want.gradients {
		for k, v := range w {
			differ += math.Pow(float64(got.gradients[i][k])-float64(v), 2)
			size += float64(v) * float64(v)
			moved = max(moved, math.Abs(float64(got.weights[i][k])-float64(want.weights[i][k])))
		}
	}
	t.Logf("%s: loss %g, gradients within %.2g of their length, weights within %.2g", gpu.Name(), got.loss, math.Sqrt(differ/size), moved)
	if size == 0 || differ > 1e-8*size {
		t.Errorf("gradients differ by %g of their length", math.Sqrt(differ/size))
	}
}

// TestDeviceCodec trains a codec for some updates, before and after its codebooks start,
// on whatever device there is beside the processor: losses, weights and moments are the
// processor's, in CUDA bit for bit.
func TestDeviceCodec(t *testing.T) {
	for _, name := range []string{device.Vulkan, device.CUDA} {
		t.Run(name, func(t *testing.T) {
			gpu, err := device.Open(name, 1)
			if err != nil {
				t.Skip("SKIPPED: ", err)
			}
			c := tiny()
			c.KMeansStep, c.Average = 3, 0.9
			c.Clip = 1e6 // the norm of all gradients is added up in another order
			run := func(b backend.Backend) *Codec {
				codec := newTiny(t, c, b)
				for i := range 5 {
					if err := codec.Update(float64(i) / 5); err != nil {
						t.Fatal(err)
					}
				}
				return codec
			}
			want, got := run(cpu.New(1)), run(gpu)
			if math.Abs(got.solver.Norm-want.solver.Norm) > 1e-3*want.solver.Norm {
				t.Errorf("a gradient of %g, the processor has %g", got.solver.Norm, want.solver.Norm)
			}
			var most float64
			for i, w := range want.weights() {
				g, m, n := got.weights()[i], want.solver.Moments(w), got.solver.Moments(want.weights()[i])
				for k, v := range w.Data {
					most = max(most, math.Abs(float64(g.Data[k])-float64(v)))
					if name == device.CUDA && (g.Data[k] != v || m[0][k] != n[0][k] || m[1][k] != n[1][k]) {
						t.Fatalf("%s: value %d is %g, on the processor %g; moments %g, %g and %g, %g", w.Name, k, g.Data[k], v, n[0][k], n[1][k], m[0][k], m[1][k])
					}
				}
			}
			t.Logf("%s: weights within %.2g", gpu.Name(), most)
			if most > 5e-3 {
				t.Errorf("weights differ by %g", most)
			}
		})
	}
}
