package main

import (
	"fmt"
	"os"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	devices "github.com/sotto-audio/sotto/internal/device"
)

// device runs on one thread: the trainer's shards are the others.
func device() backend.Backend { return cpu.New(1) }

// deviceFlag chooses what a run trains on.
type deviceFlag struct {
	Device string `default:"cpu" placeholder:"NAME" help:"What to train on: cpu, or cuda or vulkan for a graphics processor, cuda:N or vulkan:N for one of several, or auto, which is cpu where there is none."`
	Blas   string `name:"blas" default:"own" enum:"own,cublas" placeholder:"NAME" help:"Matrix products on cuda: own kernels, whose results depend on no library, or cublas, NVIDIA's where it is installed."`
}

// name is that of the device; it says so where auto finds none but the processor.
func (f deviceFlag) name() string {
	name, why := devices.Resolve(f.Device)
	if why != "" {
		fmt.Fprintf(os.Stderr, "sotto-train: --device %s: %s: training on the processor\n", f.Device, why)
	}
	if f.Blas == "cublas" {
		name += devices.BLAS
	}
	return name
}

// open gives the device.
func (f deviceFlag) open() (backend.Backend, error) { return devices.Open(f.name(), 1) }
