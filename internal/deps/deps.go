//go:build deps

package deps

import (
	_ "github.com/alecthomas/kong"
	_ "github.com/ebitengine/oto/v3"
	_ "github.com/ebitengine/purego"
	_ "github.com/go-audio/audio"
	_ "github.com/go-audio/wav"
	_ "github.com/hajimehoshi/go-mp3"
	_ "github.com/jfreymuth/oggvorbis"
	_ "github.com/jfreymuth/pulse"
	_ "github.com/mewkiz/flac"
	_ "github.com/mjibson/go-dsp/fft"
	_ "github.com/mjibson/go-dsp/window"
	_ "github.com/nlpodyssey/safetensors"
	_ "github.com/vbauerster/mpb/v8"
	_ "go4.org/unsafe/assume-no-moving-gc"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sys/cpu"
	_ "golang.org/x/term"
	_ "gonum.org/v1/gonum/dsp/fourier"
	_ "gonum.org/v1/plot"
	_ "gorgonia.org/gorgonia"
	_ "gorgonia.org/tensor"
)
