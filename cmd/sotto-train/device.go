package main

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/scratch"
)

func device() backend.Backend { return scratch.NewFast(2) }
