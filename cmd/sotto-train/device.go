package main

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// device runs on one thread: the trainer's shards are the others.
func device() backend.Backend { return cpu.New(1) }
