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
}

// open gives the device.
func (f deviceFlag) open() (backend.Backend, error) { return devices.Open(f.Device, 1) }
