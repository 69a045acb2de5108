package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/sotto-audio/sotto/asr"
	asrsotto "github.com/sotto-audio/sotto/asr/sotto"
	"github.com/sotto-audio/sotto/asr/whisper"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/encodec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/codec/vocos"
	"github.com/sotto-audio/sotto/internal/device"
	"github.com/sotto-audio/sotto/internal/published"
)

// deviceFlag chooses what models run on.
type deviceFlag struct {
	Device string `default:"cpu" placeholder:"NAME" help:"What the model runs on: cpu, cuda, vulkan, or cuda:N or vulkan:N of several (graphics processors, see sotto info --devices), or auto, which is cpu where there is none."`
	Blas   string `name:"blas" default:"own" enum:"own,cublas" placeholder:"NAME" help:"Matrix products on cuda: own kernels, whose results depend on no library, or cublas, NVIDIA's where it is installed."`

	flag string // that chose it, --device where empty
}

// computeFlag is deviceFlag of commands whose --device is a sound card.
type computeFlag struct {
	Compute string `default:"cpu" placeholder:"NAME" help:"What the model runs on: cpu, cuda, vulkan, or cuda:N or vulkan:N of several (graphics processors, see sotto info --devices), or auto, which is cpu where there is none."`
	Blas    string `name:"blas" default:"own" enum:"own,cublas" placeholder:"NAME" help:"Matrix products on cuda: own kernels, whose results depend on no library, or cublas, NVIDIA's where it is installed."`
}

func (f computeFlag) device() deviceFlag {
	return deviceFlag{Device: f.Compute, Blas: f.Blas, flag: "--compute"}
}

// called is the flag that chose the device.
func (f deviceFlag) called() string { return cmp.Or(f.flag, "--device") }

// name is that of the device; it says so where auto finds none but the processor.
func (f deviceFlag) name(s *session) string {
	name, why := device.Resolve(f.Device)
	if why != "" {
		fmt.Fprintf(s.stderr, "sotto: %s %s: %s: running on the processor\n", f.called(), f.Device, line(fmt.Errorf("%s", why)))
	}
	if f.Blas == "cublas" {
		name += device.BLAS
	}
	return name
}

// named makes a mistake in the arguments of a name that no device has.
func named(err error) error {
	if errors.Is(err, device.ErrName) {
		return &usageError{err}
	}
	return err
}

// codec brings a model to the device.
func (f deviceFlag) codec(s *session, model codec.Codec) (codec.Codec, error) {
	name := f.name(s)
	if name == device.CPU || name == "" {
		return model, nil
	}
	switch m := model.(type) {
	case *sotto.Model:
		r, err := m.On(name)
		return r, named(err)
	case *published.Codec:
		r, err := m.On(name)
		return r, named(err)
	case *encodec.Model:
		r, err := m.On(name)
		return r, named(err)
	case *vocos.Model:
		r, err := m.On(name)
		return r, named(err)
	}
	return nil, f.refused(name, model.Info().Name)
}

// refused says that a model runs on the processor only.
func (f deviceFlag) refused(name, model string) error {
	return &usageError{fmt.Errorf("%s %s: %s runs on the processor only: leave %s out", f.called(), name, model, f.called())}
}

// recognizer brings a model to the device.
func (f deviceFlag) recognizer(s *session, model asr.Recognizer) (asr.Recognizer, error) {
	name := f.name(s)
	if name == device.CPU || name == "" {
		return model, nil
	}
	switch m := model.(type) {
	case *asrsotto.Model:
		r, err := m.On(name)
		return r, named(err)
	case *whisper.Model:
		r, err := m.On(name)
		return r, named(err)
	}
	return nil, f.refused(name, model.Info().Name)
}
