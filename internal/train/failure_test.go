package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// updated trains a tiny codec of everything that a recipe can have, and gives its weights.
func updated(c CodecConfig, corpus *Corpus, dir string, device backend.Backend) (weights []float32, err error) {
	t, err := NewCodec(c, corpus, device)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	if err := t.Start(); err != nil {
		return nil, err
	}
	for i := range 3 {
		if err := t.Update(float64(i) / 3); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(dir, CheckpointName)
	if err := t.Save(path); err != nil {
		return nil, err
	}
	if err := t.Load(path); err != nil {
		return nil, err
	}
	for _, w := range t.weights() {
		weights = append(weights, w.Data...)
	}
	return weights, nil
}

// A device that fails while a codec trains is an error of the call, also where shards wait
// for each other, and the processor trains as before.
func TestFailingDeviceCodec(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	c := tiny()
	c.Shards, c.KMeansStep, c.LinearCrops, c.Average = 2, 2, 0, 0.9
	balancer := DefaultBalancerConfig()
	c.Balancer, c.Discriminators = &balancer, small()
	c.Discriminators.Periods, c.Discriminators.Windows = []int{2}, []int{256}
	c.Batch, c.Frames = 2, 4
	dir, corpus := t.TempDir(), hum(rand.New(rand.NewPCG(1, 1)))
	before, err := updated(c, corpus, dir, cpu.New(1))
	if err != nil {
		t.Fatal(err)
	}
	var want []float32
	backendtest.Failures(t, cpu.New(1), 25, func(device *backendtest.Failing) error {
		got, err := updated(c, corpus, dir, device)
		if err != nil {
			return err
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("other weights than before")
		}
		return nil
	})
	after, err := updated(c, corpus, dir, cpu.New(1))
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the processor trains other weights after failures (%v)", err)
	}
}

// The measurement before a run, which has goroutines of its own, and the fit of the linear
// paths.
func TestFailingDeviceStart(t *testing.T) {
	c := tiny()
	corpus := hum(rand.New(rand.NewPCG(1, 1)))
	for _, n := range []int{0, 4, 14} {
		for _, start := range []bool{false, true} {
			device := backendtest.NewFailing(cpu.New(1), true)
			codec, err := NewCodec(c, corpus, device)
			if err != nil {
				t.Fatal(err)
			}
			device.After(n)
			if start {
				err = codec.Start()
			} else {
				err = codec.Run(context.Background(), RunConfig{Dir: t.TempDir(), Steps: 1, LogEvery: 1, SaveEvery: time.Hour, Progress: io.Discard})
			}
			codec.Close()
			if !errors.Is(err, backendtest.ErrFailing) {
				t.Errorf("%d operations: error %v", n, err)
			}
		}
	}
}

// A decoder behind codebooks that do not change, and what begins with another model.
func TestFailingDeviceRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	c := tiny()
	c.Shards, c.KMeansStep, c.LinearCrops, c.Frames = 1, 1, 0, 4
	base, err := NewCodec(c, hum(rand.New(rand.NewPCG(1, 1))), cpu.New(1))
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	for i := range 2 {
		if err := base.Update(float64(i) / 2); err != nil {
			t.Fatal(err)
		}
	}
	model, corpus := base.Checkpoint("base"), hum(rand.New(rand.NewPCG(1, 1)))
	backendtest.Failures(t, cpu.New(1), 12, func(device *backendtest.Failing) error {
		t, err := NewTuner(c, model, corpus, device)
		if err != nil {
			return err
		}
		defer t.Close()
		if err := t.Update(0); err != nil {
			return err
		}
		if _, err = Latents(model.Network, corpus, Augment{}, 10, 1, device); err != nil {
			return err
		}
		fresh, err := NewCodec(c, corpus, device)
		if err != nil {
			return err
		}
		return fresh.Adopt(model)
	})
}

// The same for a recogniser: training, judging, saving and going on.
func TestFailingDeviceASR(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	model, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	data, err := LoadTranscripts(features(t, model), model, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultASRConfig()
	c.Model.Width, c.Model.Blocks, c.Model.Heads = 16, 1, 2
	c.Shards, c.Seconds, c.Longest, c.Growth = 2, 16, 15, 0
	c.Shares = map[string]float64{"samples": 0.5, "generated": 0.5}
	dir := t.TempDir()
	run := func(device backend.Backend) ([]float32, error) {
		t, err := NewASR(c, data, device)
		if err != nil {
			return nil, err
		}
		if err := t.Run(context.Background(), ASRRunConfig{Dir: dir, Steps: 2, LogEvery: 1, SaveEvery: time.Hour, ValidEvery: time.Hour, Progress: io.Discard}); err != nil {
			return nil, err
		}
		if err := t.Load(filepath.Join(dir, CheckpointName), false); err != nil {
			return nil, err
		}
		var all []float32
		for _, p := range t.Network.Params() {
			all = append(all, p.Data...)
		}
		return all, nil
	}
	before, err := run(cpu.New(1))
	if err != nil {
		t.Fatal(err)
	}
	backendtest.Failures(t, cpu.New(1), 20, func(device *backendtest.Failing) error {
		_, err := run(device)
		return err
	})
	after, err := run(cpu.New(1))
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the processor trains other weights after failures (%v)", err)
	}
}

// The same for an entropy coder.
func TestFailingDeviceEntropy(t *testing.T) {
	q, clips := walks(t, rand.New(rand.NewPCG(1, 1)), 4, 200)
	c := DefaultEntropyConfig()
	c.Trunk, c.Hidden, c.Out, c.Epochs, c.Packets = 8, 8, 8, 0.5, 2
	backendtest.Failures(t, cpu.New(1), 60, func(device *backendtest.Failing) error {
		e, err := NewEntropy(c, q, clips, device)
		if err != nil {
			return err
		}
		return e.Run(context.Background(), io.Discard)
	})
}
