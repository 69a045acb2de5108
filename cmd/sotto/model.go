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

// decoderFlag chooses a model that decodes.
type decoderFlag struct {
	modelFlag
	Precision string `default:"f32" enum:"f32,bf16,int8" placeholder:"NAME" help:"Arithmetic of the decoder: ${enum}. int8 is faster everywhere, bf16 where the processor has AVX512-BF16; both are a little less exact."`
}

func (d decoderFlag) load() (codec.Codec, error) {
	model, err := d.modelFlag.load()
	if err != nil || d.Precision == string(sotto.Float32) {
		return model, err
	}
	native, ok := model.(*sotto.Model)
	if !ok {
		return nil, &usageError{fmt.Errorf("--precision %s: %s decodes in f32 only: leave --precision out", d.Precision, model.Info().Name)}
	}
	return native.In(sotto.Precision(d.Precision))
}

// embedded is the model inside this program.
func embedded() (codec.Codec, error) {
	c, err := sotto.Default()
	if err != nil {
		return nil, fmt.Errorf("embedded model: %w", err)
	}
	return c, nil
}
