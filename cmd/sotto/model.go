package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sotto-audio/sotto/codec"
	_ "github.com/sotto-audio/sotto/codec/lyra" // a family that Load knows
	"github.com/sotto-audio/sotto/codec/sotto"
)

// modelFlag chooses a model.
type modelFlag struct {
	Model string `short:"m" placeholder:"FILE" help:"Weights file (safetensors), instead of the model inside this program."`
}

func (m modelFlag) load() (codec.Codec, error) {
	if m.Model == "" {
		return embedded()
	}
	c, err := codec.Load(m.Model)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file: give a weights file, or leave --model out", m.Model)
	}
	return c, err
}

// embedded is the model inside this program.
func embedded() (codec.Codec, error) {
	c, err := sotto.Default()
	if err != nil {
		return nil, fmt.Errorf("embedded model: %w", err)
	}
	return c, nil
}
