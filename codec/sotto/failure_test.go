package sotto

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/device"
)

// Every way through the codec on devices that fail: that is an error of the call, the
// model goes on where the device does, and the processor gives what it gave before.
func TestFailingDevice(t *testing.T) {
	if testing.Short() {
		t.Skip("no matter of instruction sets")
	}
	const name = "failing"
	ctx := context.Background()
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]float32, 4*320+100)
	for i := range pcm {
		pcm[i] = float32(i%97)/300 - 0.15
	}
	type result struct {
		codes             []int32
		waves, latents    []float32
		quantized, pieces []int32
	}
	run := func(m *Model) (r result, err error) {
		all, err := m.EncodeBatch(ctx, [][]float32{pcm, pcm[:700]}, 0)
		if err != nil {
			return r, err
		}
		r.codes = all[0].Codes
		if r.waves, err = m.Decode(ctx, all[0]); err != nil {
			return r, err
		}
		wave, err := m.Reconstruct(ctx, pcm)
		if err != nil {
			return r, err
		}
		r.waves = append(r.waves, wave...)
		if r.latents, err = m.Latents(ctx, pcm); err != nil {
			return r, err
		}
		if r.quantized, err = m.Quantize(r.latents, 0); err != nil {
			return r, err
		}
		e, err := m.NewEncoder(0)
		if err != nil {
			return r, err
		}
		d, err := m.NewDecoder(e.Codebooks())
		if err != nil {
			return r, err
		}
		l := m.NewLatentStream()
		for at := 0; at < len(pcm); at += 500 {
			part := pcm[at:min(at+500, len(pcm))]
			from := len(r.pieces)
			if r.pieces, err = e.Encode(r.pieces, part); err != nil {
				return r, err
			}
			if r.waves, err = d.Decode(r.waves, r.pieces[from:]); err != nil {
				return r, err
			}
			if r.latents, err = l.Encode(r.latents, part); err != nil {
				return r, err
			}
		}
		if r.pieces, err = e.Flush(r.pieces); err != nil {
			return r, err
		}
		if r.latents, err = l.Flush(r.latents); err != nil {
			return r, err
		}
		if r.waves, err = d.Conceal(r.waves, 2); err != nil {
			return r, err
		}
		if r.waves, err = d.(interface {
			Bridge(dst []float32, n int, next []int32) ([]float32, error)
		}).Bridge(r.waves, 1, r.pieces[:e.Codebooks()]); err != nil {
			return r, err
		}
		r.waves, err = d.Flush(r.waves)
		e.Reset()
		d.Reset()
		l.Reset()
		return r, err
	}
	want, err := run(m)
	if err != nil {
		t.Fatal(err)
	}
	held := func(r result, err error) error {
		if err == nil && (!slices.Equal(r.codes, want.codes) || !slices.Equal(r.waves, want.waves) || !slices.Equal(r.latents, want.latents) ||
			!slices.Equal(r.quantized, want.quantized) || !slices.Equal(r.pieces, want.pieces)) {
			err = errors.New("something else than before came out")
		}
		return err
	}
	// The same model goes on after a failure, with all that it keeps.
	backendtest.Failures(t, cpu.New(0), 40, func(f *backendtest.Failing) error {
		device.Add(name, f)
		on, err := m.On(name)
		if err != nil {
			return err
		}
		if err := held(run(on)); err != nil {
			if again := held(run(on)); f.Lost() != (again != nil) {
				return errors.New("the same model after a failure: " + err.Error())
			}
			return err
		}
		return nil
	})
	if err := held(run(m)); err != nil {
		t.Errorf("the processor after failures: %v", err)
	}
}
