package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/manifest"
	"github.com/sotto-audio/sotto/internal/recognizer"
	"github.com/sotto-audio/sotto/internal/transcript"
	"github.com/sotto-audio/sotto/internal/weights"
)

// Spoken is a recording with its transcript.
type Spoken struct {
	Path     string  `json:"path"`
	Seconds  float64 `json:"seconds"`
	Split    string  `json:"split"`
	Speaker  string  `json:"speaker"`
	Source   string  `json:"source"`   // the first part of the path in the manifest
	Spelling string  `json:"spelling"` // of the transcript; empty for no speech
	Frames   int     `json:"frames"`   // of the codec
	Version  int     `json:"version"`  // 0 as recorded, others augmented
}

// ReadSpoken lists the rows of a manifest that train or judge a recogniser:
// English ones with a transcript, and those of the split noise, in which nobody
// speaks.
func ReadSpoken(path string) ([]Spoken, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("train: manifest: %w", err)
	}
	defer f.Close()
	all, err := parseSpoken(f)
	if err != nil {
		return nil, fmt.Errorf("train: manifest %s: %w", path, err)
	}
	for i := range all {
		all[i].Path = filepath.Join(filepath.Dir(path), filepath.FromSlash(all[i].Path))
	}
	return all, nil
}

func parseSpoken(r io.Reader) ([]Spoken, error) {
	rows, err := manifest.Read(r, "path", "split", "speaker", "lang", "text")
	if err != nil {
		return nil, err
	}
	var all []Spoken
	for _, row := range rows {
		f := row.Fields
		s := Spoken{Path: f[0], Split: f[1], Speaker: f[2]}
		s.Source, _, _ = strings.Cut(f[0], "/")
		if s.Split == "noise" {
			s.Split = "train"
			all = append(all, s)
			continue
		}
		if s.Spelling = transcript.Spoken(f[4]); s.Spelling != "" && f[3] == "en" {
			all = append(all, s)
		}
	}
	return all, nil
}

// FeatureConfig says what WriteFeatures makes of recordings.
type FeatureConfig struct {
	Dir      string
	Name     string // of the set of recordings; files begin with it
	Versions []int  // 0 as recorded, others augmented, from Light on lightly
	PerFile  int
	Progress io.Writer
}

// WriteFeatures runs the codec's encoder over recordings, as they are and
// augmented, and keeps latents and codes in files: the encoder is frozen, so it
// runs once. Files that exist stay.
func WriteFeatures(ctx context.Context, c FeatureConfig, rows []Spoken, codec *sotto.Model) error {
	if err := os.MkdirAll(c.Dir, 0o777); err != nil {
		return fmt.Errorf("train: features: %w", err)
	}
	type task struct {
		path    string
		rows    []Spoken
		version int
	}
	var tasks []task
	for _, v := range c.Versions {
		for from := 0; from < len(rows); from += c.PerFile {
			path := filepath.Join(c.Dir, fmt.Sprintf("%s-v%d-%04d.features", c.Name, v, from/c.PerFile))
			if _, err := os.Stat(path); err != nil {
				tasks = append(tasks, task{path, rows[from:min(from+c.PerFile, len(rows))], v})
			}
		}
	}
	next := make(chan task)
	errs := make(chan error, 2)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for t := range next {
				if err := writeFeatures(ctx, t.path, t.rows, t.version, codec); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	var err error
	for i, t := range tasks {
		select {
		case next <- t:
			fmt.Fprintf(c.Progress, "\rfile %d of %d", i+1, len(tasks))
		case err = <-errs:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			break
		}
	}
	close(next)
	wait.Wait()
	fmt.Fprintln(c.Progress)
	if err == nil {
		select {
		case err = <-errs:
		default:
		}
	}
	return err
}

const featuresKind = "sotto features 1"

func writeFeatures(ctx context.Context, path string, rows []Spoken, version int, codec *sotto.Model) error {
	var latents, codes []float32
	var done []Spoken
	for _, r := range rows {
		pcm, err := load(r.Path, codec.Info().SampleRate)
		if err != nil {
			return fmt.Errorf("train: features: %w", err)
		}
		if version > 0 {
			pcm = augmentSpeech(pcm, codec.Info().SampleRate, r, version)
		}
		z, err := codec.Latents(ctx, pcm)
		if err != nil {
			return fmt.Errorf("train: features of %s: %w", r.Path, err)
		}
		q, err := codec.Quantize(z, 0)
		if err != nil {
			return fmt.Errorf("train: features of %s: %w", r.Path, err)
		}
		r.Frames, r.Version = len(z)/codec.LatentDim(), version
		r.Seconds = float64(len(pcm)) / float64(codec.Info().SampleRate)
		done = append(done, r)
		latents = append(latents, z...)
		for _, v := range q {
			codes = append(codes, float32(v))
		}
	}
	items, err := json.Marshal(done)
	if err != nil {
		return fmt.Errorf("train: features: %w", err)
	}
	dim, books := codec.LatentDim(), codec.Info().Codebooks()
	f := &weights.File{
		Metadata: map[string]string{"kind": featuresKind, "codec": codec.Info().Fingerprint.String(), "items": string(items)},
		Tensors: map[string]weights.Tensor{
			"latents": {Shape: []int{len(latents) / dim, dim}, Data: latents},
			"codes":   {Shape: []int{len(codes) / books, books}, Data: codes}, // below 2048: exact in half precision
		},
	}
	data, err := f.Bytes(true)
	if err != nil {
		return fmt.Errorf("train: features: %w", err)
	}
	return WriteFile(path, data)
}

func load(path string, rate int) ([]float32, error) {
	if seed, ok := isGenerated(path); ok {
		return noSpeech(seed, rate), nil
	}
	return audio.ReadMono(path, rate)
}

// Utterance is a recording as the recogniser sees it.
type Utterance struct {
	Spoken
	Labels  []int32
	Latents []uint16 // [Frames, dim] in half precision
	Codes   []int16  // [Frames, codebooks]
}

// ReadFeatures reads a file of WriteFeatures made with the codec of a fingerprint.
func ReadFeatures(path, codec string) ([]Utterance, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("train: features: %w", err)
	}
	f, err := weights.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("train: features %s: %w", path, err)
	}
	if f.Metadata["kind"] != featuresKind {
		return nil, fmt.Errorf("train: %s is no file of features", path)
	}
	if got := f.Metadata["codec"]; got != codec {
		return nil, fmt.Errorf("train: features %s are those of codec %s, not of %s: make them anew", path, got, codec)
	}
	var items []Spoken
	if err := json.Unmarshal([]byte(f.Metadata["items"]), &items); err != nil {
		return nil, fmt.Errorf("train: features %s: %w", path, err)
	}
	latents, codes := f.Tensors["latents"], f.Tensors["codes"]
	frames := 0
	for _, s := range items {
		frames += s.Frames
	}
	if len(latents.Shape) != 2 || len(codes.Shape) != 2 || latents.Shape[0] != frames || codes.Shape[0] != frames {
		return nil, fmt.Errorf("train: features %s: arrays of %v and %v for %d frames", path, latents.Shape, codes.Shape, frames)
	}
	var all []Utterance
	dim, books, at := latents.Shape[1], codes.Shape[1], 0
	for _, s := range items {
		labels, ok := recognizer.Labels(s.Spelling)
		if !ok {
			return nil, fmt.Errorf("train: features %s: %q has other characters than the recogniser writes", path, s.Spelling)
		}
		u := Utterance{Spoken: s, Labels: labels, Latents: make([]uint16, s.Frames*dim), Codes: make([]int16, s.Frames*books)}
		for i, v := range latents.Data[at*dim : (at+s.Frames)*dim] {
			u.Latents[i] = weights.Float16(v)
		}
		for i, v := range codes.Data[at*books : (at+s.Frames)*books] {
			u.Codes[i] = int16(v)
		}
		at += s.Frames
		all = append(all, u)
	}
	return all, nil
}

// speeds are the rates of playback of augmented speech (Ko et al. 2015), as
// sample rates of which 16000 is the original's.
var speeds = []int{13120, 13760, 14400, 14880, 15200, 15680, 16000, 16320, 16800, 17280, 17920, 18880}

// Light is the first version that changes speed and level alone.
const Light = 100

// augmentSpeech changes speed, level, timbre, room and noise, and adds some
// background before and after; the same every time.
func augmentSpeech(pcm []float32, rate int, r Spoken, version int) []float32 {
	h := fnv.New64a()
	io.WriteString(h, filepath.Base(r.Path)+r.Spelling)
	rng := rand.New(rand.NewPCG(h.Sum64(), uint64(version)))
	if to := speeds[rng.IntN(len(speeds))] * rate / 16000; to != rate && r.Spelling != "" {
		resampler := audio.NewResampler(to, rate, 1)
		pcm = resampler.Flush(resampler.Process(nil, pcm))
	}
	before, after := int(0.6*rng.Float64()*float64(rate)), int(0.8*rng.Float64()*float64(rate))
	x := make([]float32, before+len(pcm)+after)
	copy(x[before:], pcm)
	often, quietest := 1.0, -20.0
	if version >= Light {
		often, quietest = 0, -8
	}
	if rng.Float64() < 0.3*often {
		tilt(x, rng)
	}
	if rng.Float64() < 0.3*often {
		addRoom(x, rate, rng)
	}
	if rng.Float64() < 0.2*often {
		bandLimit(x, rate, rng)
	}
	if rng.Float64() < 0.5*often {
		addNoise(x, rng)
	}
	if rng.Float64() < 0.05*often {
		clip(x, rng)
	}
	// The usual level of speech, 20 dB below to 6 dB above it, and a noise floor.
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	gain := level / math.Sqrt(sum/float64(len(x)+1)+1e-9) * math.Pow(10, (quietest+(6-quietest)*rng.Float64())/20)
	floor := math.Pow(10, -(60+40*rng.Float64())/20)
	for i, v := range x {
		x[i] = max(-1, min(1, float32(gain)*v+float32(floor*rng.NormFloat64())))
	}
	return x
}

// tilt raises low or high frequencies.
func tilt(x []float32, rng *rand.Rand) {
	a := float32(0.7 * (2*rng.Float64() - 1))
	var last float32
	for i, v := range x {
		x[i] = v - a*last
		last = v
	}
}

// errNoFeatures says what to do where a folder holds none.
var errNoFeatures = errors.New("train: no features there: make them with sotto-train features")
