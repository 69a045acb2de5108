package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/bench/blas"
	"github.com/sotto-audio/sotto/internal/bench/kernels"
	"github.com/sotto-audio/sotto/internal/device"
	"golang.org/x/sync/errgroup"
)

type benchCmd struct {
	decoderFlag
	deviceFlag
	Threads int     `short:"t" default:"1" placeholder:"N" help:"Processor cores to use; 1 by default."`
	Seconds float64 `default:"20" placeholder:"S" help:"Length of the test signal."`
	Kernels bool    `help:"Measure the kernels one by one, too; matrix products beside OpenBLAS where it is installed."`
	JSON    bool    `name:"json" help:"Print one JSON object."`
}

// Help is shown by --help.
func (benchCmd) Help() string {
	return `Times are next to the peak of multiply-adds and the rate of float32 matrix products in the same run, so that machines and loads can be told apart. Each kernel is next to what limits it: multiply-adds, or copying as many bytes.

Examples:
  sotto bench
  sotto bench --kernels
  sotto bench --threads 4 --json
  sotto bench --device vulkan`
}

// Validate refuses numbers out of range.
func (c *benchCmd) Validate() error {
	if c.Threads < 1 {
		return fmt.Errorf("--threads must be 1 or more")
	}
	if !(c.Seconds >= 1 && c.Seconds <= 600) {
		return fmt.Errorf("--seconds must be 1 to 600")
	}
	return nil
}

// gemmSize is that of the matrices whose product stands for the machine.
const gemmSize = 512

type benchReport struct {
	Model      string  `json:"model"`
	Device     string  `json:"device"`
	Threads    int     `json:"threads"`
	PeakGFLOPS float64 `json:"peak_gflops"` // of multiply-adds of all threads; 0 in portable Go
	GFLOPS     float64 `json:"gemm_gflops"`
	CopyGBs    float64 `json:"copy_gbs"`   // bytes read and written, in memory of the device
	EncodeRTF  float64 `json:"encode_rtf"` // seconds of sound per second
	DecodeRTF  float64 `json:"decode_rtf"`
	RTF        float64 `json:"rtf"`            // encode and decode in sequence
	StepMedian float64 `json:"step_ms_median"` // one frame in, one frame out
	Step99     float64 `json:"step_ms_p99"`
	FrameMS    float64 `json:"frame_ms"`
	LatencyMS  float64 `json:"latency_ms"` // algorithmic
	// LiveStreams is how many streams are encoded in real time, a frame at a time, as fast
	// as 16 side by side are; 0 where the model does not stream.
	LiveStreams float64 `json:"live_streams"`

	// Shares of the peak that the matrix products and convolutions of encode and
	// decode take; 0 where the model does not tell.
	EncodePeak float64 `json:"encode_peak_share"`
	DecodePeak float64 `json:"decode_peak_share"`

	Precisions []precisionReport `json:"precisions"`
	Kernels    []kernels.Result  `json:"kernels,omitempty"`
}

// Run is called by kong.
func (c *benchCmd) Run(s *session) (err error) {
	defer backend.Recover(&err)
	useThreads(c.Threads)
	c.Device = c.name(s)
	model, err := c.load()
	if err == nil {
		model, err = c.codec(s, model)
	}
	if err != nil {
		return err
	}
	if c.Kernels && c.Device != device.CPU {
		return &usageError{fmt.Errorf("--kernels measures the processor: leave --device %s out", c.Device)}
	}
	info := model.Info()
	dev, err := device.Open(c.Device, c.Threads)
	if err != nil {
		return err
	}
	r := benchReport{
		Model: info.Name, Device: dev.Name(), Threads: c.Threads,
		FrameMS: 1000 / info.FrameRate, LatencyMS: float64(info.Latency.Microseconds()) / 1000,
	}
	pcm := vowel(int(c.Seconds*float64(info.SampleRate)), info.SampleRate)
	seconds := float64(len(pcm)) / float64(info.SampleRate)
	r.PeakGFLOPS = peak(dev)
	r.GFLOPS, r.CopyGBs = matmulRate(dev, backend.Float32), copyRate(dev)
	var tokens *codec.Tokens
	encode, err := best(func() (err error) {
		tokens, err = model.Encode(s.ctx, pcm, 0)
		return err
	})
	if err != nil {
		return err
	}
	decode, err := best(func() error {
		_, err := model.Decode(s.ctx, tokens)
		return err
	})
	if err != nil {
		return err
	}
	r.GFLOPS = max(r.GFLOPS, matmulRate(dev, backend.Float32))
	r.PeakGFLOPS = max(r.PeakGFLOPS, peak(dev)) * float64(c.Threads)
	r.EncodeRTF, r.DecodeRTF, r.RTF = seconds/encode, seconds/decode, seconds/(encode+decode)
	if native, ok := model.(*sotto.Model); ok && r.PeakGFLOPS > 0 {
		encode, decode := native.Operations()
		r.EncodePeak, r.DecodePeak = encode*r.EncodeRTF/1e9/r.PeakGFLOPS, decode*r.DecodeRTF/1e9/r.PeakGFLOPS
	}
	if r.StepMedian, r.Step99, err = steps(model, pcm); err != nil {
		return err
	}
	if info.Streaming == codec.StreamingExact {
		if r.LiveStreams, err = liveStreams(model, pcm); err != nil {
			return err
		}
	}
	if r.Precisions, err = benchPrecisions(s.ctx, dev, model, tokens); err != nil {
		return err
	}
	if c.Kernels {
		l, err := blas.Open()
		if err != nil {
			fmt.Fprintln(s.stderr, "sotto:", err)
		}
		if err := kernels.Run(s.ctx, c.Threads, l, func(k kernels.Result) { r.Kernels = append(r.Kernels, k) }); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(r)
	}
	t := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "model\t%s\n", r.Model)
	fmt.Fprintf(t, "device\t%s, %d threads\n", r.Device, r.Threads)
	fmt.Fprintf(t, "multiply-adds\t%.1f GFLOP/s at most\n", r.PeakGFLOPS)
	fmt.Fprintf(t, "matrix products\t%.1f GFLOP/s%s\n", r.GFLOPS, ofPeak(r.GFLOPS/r.PeakGFLOPS))
	fmt.Fprintf(t, "copying\t%.1f GB/s read and written\n", r.CopyGBs)
	fmt.Fprintf(t, "encode\t%.0f x real time%s\n", r.EncodeRTF, ofPeak(r.EncodePeak))
	fmt.Fprintf(t, "decode\t%.0f x real time%s\n", r.DecodeRTF, ofPeak(r.DecodePeak))
	fmt.Fprintf(t, "encode and decode\t%.0f x real time\n", r.RTF)
	fmt.Fprintf(t, "streaming step\t%.2f ms median, %.2f ms at 99 %% (a frame is %.3g ms)\n", r.StepMedian, r.Step99, r.FrameMS)
	if r.LiveStreams > 0 {
		fmt.Fprintf(t, "live streams\t%.0f encoded in real time, frame by frame\n", r.LiveStreams)
	}
	fmt.Fprintf(t, "algorithmic latency\t%.4g ms\n", r.LatencyMS)
	printPrecisions(t, r.Precisions)
	if err := t.Flush(); err != nil || !c.Kernels {
		return err
	}
	fmt.Fprintln(t, "\nkernel\tshape\tmicroseconds\trate\tof what limits it\tOpenBLAS\t")
	for _, k := range r.Kernels {
		unit, peer := "GB/s", ""
		if k.Limit == kernels.FMA {
			unit = "GFLOP/s"
		}
		if k.OpenBLAS > 0 {
			peer = fmt.Sprintf("%.1f, x %.2f", k.OpenBLAS/1e9, k.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%.1f %s\t%.0f %% of %s\t%s\t\n", k.Kernel, k.Shape, 1e6*k.Seconds, k.Rate/1e9, unit, 100*k.Share, k.Limit, peer)
	}
	return t.Flush()
}

// ofPeak says what share of the peak a figure is, where it is known.
func ofPeak(share float64) string {
	if !(share > 0) || math.IsInf(share, 0) {
		return ""
	}
	return fmt.Sprintf(", %.0f %% of the peak", 100*share)
}

// copyRate is the best rate of a copy of 64 MB in GB/s.
func copyRate(dev backend.Backend) float64 {
	const rows, cols = 4096, 4096
	x, y := dev.New(rows, cols), dev.New(rows, cols)
	return 2 * 4 * rows * cols / quickest(dev, func() { dev.Copy(y, x) }) / 1e9
}

// peak is the rate of multiply-adds of one core in GFLOP/s, 0 where it is not known.
func peak(dev backend.Backend) float64 {
	if c, ok := dev.(*cpu.Backend); ok {
		return c.Peak() / 1e9
	}
	return 0
}

// best gives the shortest time in seconds of eight runs, of fewer where they take long.
func best(run func() error) (float64, error) {
	shortest := math.Inf(1)
	begin := time.Now()
	for i := 0; i < 8 && (i < 2 || time.Since(begin) < 10*time.Second); i++ {
		start := time.Now()
		if err := run(); err != nil {
			return 0, err
		}
		shortest = min(shortest, time.Since(start).Seconds())
	}
	return shortest, nil
}

// steps encodes and decodes frame by frame and gives the median and the 99th
// percentile of a step in milliseconds.
func steps(model codec.Codec, pcm []float32) (median, p99 float64, err error) {
	hop := model.Info().HopLength
	enc, err := model.NewEncoder(0)
	if err != nil {
		return 0, 0, err
	}
	dec, err := model.NewDecoder(enc.Codebooks())
	if err != nil {
		return 0, 0, err
	}
	var times []float64
	var codes []int32
	var out []float32
	for at := 0; at+hop <= min(len(pcm), 500*hop); at += hop {
		start := time.Now()
		if codes, err = enc.Encode(codes[:0], pcm[at:at+hop]); err != nil {
			return 0, 0, err
		}
		if out, err = dec.Decode(out[:0], codes); err != nil {
			return 0, 0, err
		}
		times = append(times, time.Since(start).Seconds()*1000)
	}
	times = times[len(times)/10:] // warm
	slices.Sort(times)
	return times[len(times)/2], times[len(times)*99/100], nil
}

// liveStreams encodes streams side by side, frame by frame, for a second or two, and gives
// how many of them real time would have room for.
func liveStreams(model codec.Codec, pcm []float32) (float64, error) {
	const streams = 16
	hop := model.Info().HopLength
	var encoders [streams]codec.Encoder
	for i := range encoders {
		var err error
		if encoders[i], err = model.NewEncoder(0); err != nil {
			return 0, err
		}
	}
	run := func(steps int) error {
		var g errgroup.Group
		for _, e := range encoders {
			g.Go(func() (err error) {
				var codes []int32
				for i := range steps {
					at := i * hop % (len(pcm) - hop)
					if codes, err = e.Encode(codes[:0], pcm[at:at+hop]); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return g.Wait()
	}
	if err := run(3); err != nil { // warm
		return 0, err
	}
	steps, begin := 0, time.Now()
	for steps == 0 || time.Since(begin) < time.Second {
		if err := run(5); err != nil {
			return 0, err
		}
		steps += 5
	}
	return streams * float64(steps) / model.Info().FrameRate / time.Since(begin).Seconds(), nil
}

// vowel is a test signal: harmonics of a gliding pitch.
func vowel(n, rate int) []float32 {
	x := make([]float32, n)
	var phase float64
	for i := range x {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (120 + 30*math.Sin(2*math.Pi*0.7*t)) / float64(rate)
		var v float64
		for k := 1; k <= 12; k++ {
			v += math.Sin(float64(k)*phase) / float64(k)
		}
		x[i] = float32(0.1 * v * (1 + math.Sin(2*math.Pi*3*t)))
	}
	return x
}
