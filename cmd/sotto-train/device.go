package main

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	devices "github.com/sotto-audio/sotto/internal/device"
)

// device runs on one thread: the trainer's shards are the others.
func device() backend.Backend { return cpu.New(1) }

// deviceFlag chooses what a run trains on.
type deviceFlag struct {
	Device string `default:"cpu" placeholder:"NAME" help:"What to train on: cpu, or cuda or vulkan for a graphics processor, cuda:N or vulkan:N for one of several."`
	Blas   string `name:"blas" default:"own" enum:"own,cublas" placeholder:"NAME" help:"Matrix products on cuda: own kernels, whose results depend on no library, or cublas, NVIDIA's where it is installed."`
}

// open gives the device.
func (f deviceFlag) open() (backend.Backend, error) {
	name := f.Device
	if f.Blas == "cublas" {
		name += devices.BLAS
	}
	return devices.Open(name, 1)
}
