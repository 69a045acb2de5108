// Peers measures the native codec beside PyTorch and ONNX Runtime, on the same
// weights and samples and in turns of one run, and its matrix products beside
// OpenBLAS's:
//
//	python -m venv /tmp/peers && /tmp/peers/bin/pip install -r internal/bench/peers/requirements.txt
//	go run ./internal/bench/peers --python /tmp/peers/bin/python
//
// With --published FOLDER it measures published codecs of full size there instead,
// see published.go.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/bench/blas"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

type options struct {
	python, folder, weights, samples string
	published, originals             string
	only, runtimes                   string
	seconds                          float64
	rounds, calls, threads           int
	products, json, cpu              bool
}

// report is what --json prints.
type report struct {
	Versions map[string]string `json:"versions"`
	Codec    []timing          `json:"codec"`
	Products []blas.Row        `json:"products,omitempty"`
	Missing  []string          `json:"missing,omitempty"`
}

// timing is the best turn of one runtime.
type timing struct {
	Model    string  `json:"model"`
	Runtime  string  `json:"runtime"` // "sotto" is ours
	Way      string  `json:"way"`     // encode or decode
	Threads  int     `json:"threads"`
	Seconds  float64 `json:"seconds"`
	RealTime float64 `json:"real_time"` // seconds of sound a second
	Ours     float64 `json:"ours"`      // our rate over this one
	Frames   float64 `json:"frames"`    // share of frames with our codes
	SNR      float64 `json:"snr"`       // of its samples against ours, dB
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.python, "python", "python3", "Python with the packages of requirements.txt")
	flag.StringVar(&o.folder, "scripts", "internal/bench/peers", "folder of worker.py")
	flag.StringVar(&o.weights, "weights", "codec/sotto/weights/sotto-16k-v2.safetensors", "weights of the native codec")
	flag.StringVar(&o.samples, "samples", "samples/speech.wav", "speech, repeated to the length asked for")
	flag.Float64Var(&o.seconds, "seconds", 20, "length of the signal")
	flag.IntVar(&o.rounds, "rounds", 12, "turns of each")
	flag.IntVar(&o.calls, "calls", 6, "calls of a turn, of which the first spread threads over the cores")
	flag.StringVar(&o.published, "published", "", "folder of full-size checkpoints that testdata/make.py of the families wrote")
	flag.StringVar(&o.originals, "originals", "", "checkouts of what is no package: academicodec=FOLDER,bigcodec=FOLDER")
	flag.StringVar(&o.only, "only", "", "families of --published, separated by commas; all by default")
	flag.StringVar(&o.runtimes, "runtimes", "eager,compiled,onnxruntime", "what to measure published codecs beside")
	flag.IntVar(&o.threads, "threads", 0, "threads of everything; 0 measures one, then two")
	flag.BoolVar(&o.products, "products", true, "measure matrix products, too")
	flag.BoolVar(&o.cpu, "cpu", false, "measure processor time, with one thread, which other programs disturb less")
	flag.BoolVar(&o.json, "json", false, "print one JSON object")
	flag.Parse()
	var r report
	counts := []int{1, 2}
	if o.threads > 0 {
		counts = []int{o.threads}
	}
	if o.cpu {
		counts = []int{1}
	}
	if o.published != "" {
		if err := o.families(ctx, &r, counts); err != nil {
			return err
		}
		return r.write(os.Stdout, o.json)
	}
	for _, threads := range counts {
		if threads > runtime.NumCPU() {
			continue
		}
		if err := o.codec(ctx, &r, threads); err != nil {
			return err
		}
	}
	if !o.products {
	} else if l, err := blas.Open(); err != nil {
		r.Missing = append(r.Missing, err.Error())
	} else {
		r.Versions["openblas"] = l.Config()
		for _, threads := range counts {
			rows, err := blas.Compare(ctx, l, threads, blas.Shapes)
			if err != nil {
				return err
			}
			r.Products = append(r.Products, rows...)
		}
	}
	return r.write(os.Stdout, o.json)
}

func (r *report) write(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	return r.print(out)
}

// codec measures the native codec in all runtimes with a number of threads.
func (o options) codec(ctx context.Context, r *report, threads int) error {
	data, err := os.ReadFile(o.weights)
	if err != nil {
		return err
	}
	model, err := sotto.Load(data, sotto.WithThreads(threads))
	if err != nil {
		return err
	}
	return o.measure(ctx, r, model, threads, "worker.py", map[string]any{"weights": o.weights})
}

// measure takes turns of our model and those that a script has of it.
func (o options) measure(ctx context.Context, r *report, model codec.Codec, threads int, script string, setup map[string]any) error {
	rate := model.Info().SampleRate
	clip, err := audio.ReadMono(o.samples, rate)
	if err != nil {
		return err
	}
	pcm := slices.Repeat(clip, int(o.seconds*float64(rate))/len(clip)+1)
	pcm = pcm[:int(o.seconds*float64(rate))/model.Info().HopLength*model.Info().HopLength]
	tokens, err := model.Encode(ctx, pcm, 0)
	if err != nil {
		return err
	}
	wave, err := model.Decode(ctx, tokens)
	if err != nil {
		return err
	}
	setup["threads"], setup["codebooks"] = threads, tokens.Codebooks
	w, err := o.start(ctx, script, setup, pcm, tokens.Codes, wave)
	if err != nil {
		return err
	}
	defer w.close()
	r.Versions = w.hello.Versions
	for name, why := range w.hello.Failed {
		r.Missing = append(r.Missing, fmt.Sprintf("%s: %s with %d threads: %s", model.Info().Name, name, threads, why))
	}
	fmt.Fprintf(os.Stderr, "measuring %s with %d threads\n", model.Info().Name, threads)
	defer fmt.Fprintln(os.Stderr, "measured")
	for _, way := range []string{"encode", "decode"} {
		names := []string{"sotto"}
		for name, a := range w.hello.Runtimes {
			if slices.Contains(a.Ways, way) {
				names = append(names, name)
			}
		}
		slices.Sort(names[1:])
		ours := func() (float64, error) { return o.timed(ctx, model, pcm, tokens, way) }
		best := make([]float64, len(names))
		for range o.rounds {
			for i, name := range names {
				measure := ours
				if i > 0 {
					measure = func() (float64, error) { return w.call(name, way, o.cpu) }
				}
				time.Sleep(pause)
				for range o.calls {
					t, err := measure()
					if err != nil {
						return err
					}
					if best[i] == 0 || t < best[i] {
						best[i] = t
					}
				}
			}
		}
		for i, name := range names {
			same := agreement{Frames: 1}
			if i > 0 {
				same = w.hello.Runtimes[name]
			}
			r.Codec = append(r.Codec, timing{
				Model: model.Info().Name, Runtime: name, Way: way, Threads: threads, Seconds: best[i],
				RealTime: float64(len(pcm)) / float64(rate) / best[i], Ours: best[i] / best[0],
				Frames: same.Frames, SNR: same.SNR,
			})
		}
	}
	return nil
}

// pause lets the threads of the runtime before stop looking out for work.
const pause = 50 * time.Millisecond

// timed is the time of one of our calls in seconds.
func (o options) timed(ctx context.Context, model codec.Codec, pcm []float32, tokens *codec.Tokens, way string) (float64, error) {
	begin, used := time.Now(), time.Duration(0)
	var err error
	if o.cpu {
		if used, err = processorTime(); err != nil {
			return 0, err
		}
	}
	if way == "encode" {
		_, err = model.Encode(ctx, pcm, 0)
	} else {
		_, err = model.Decode(ctx, tokens)
	}
	if err != nil || !o.cpu {
		return time.Since(begin).Seconds(), err
	}
	now, err := processorTime()
	return (now - used).Seconds(), err
}

// worker is the Python side.
type worker struct {
	hello struct {
		Versions map[string]string    `json:"versions"`
		Runtimes map[string]agreement `json:"runtimes"`
		Failed   map[string]string    `json:"failed"`
	}
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	folder  string
}

// agreement is what a runtime's results have in common with ours.
type agreement struct {
	Frames float64  `json:"frames"`
	SNR    float64  `json:"snr"`
	Ways   []string `json:"ways"` // that it has
}

func (o options) start(ctx context.Context, script string, setup map[string]any, pcm []float32, codes []int32, wave []float32) (*worker, error) {
	folder, err := os.MkdirTemp("", "peers")
	if err != nil {
		return nil, err
	}
	for name, values := range map[string]any{"samples": pcm, "codes": codes, "wave": wave} {
		var b bytes.Buffer
		if err := binary.Write(&b, binary.LittleEndian, values); err != nil {
			return nil, err
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			return nil, err
		}
		setup[name] = path
	}
	w := &worker{folder: folder, process: exec.CommandContext(ctx, o.python, filepath.Join(o.folder, script))}
	w.process.Env = append(os.Environ(), fmt.Sprintf("OMP_NUM_THREADS=%d", setup["threads"]))
	w.process.Stderr = os.Stderr
	if w.in, err = w.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewScanner(out)
	if err := w.process.Start(); err != nil {
		return nil, fmt.Errorf("%w: name a Python with the packages of requirements.txt by --python", err)
	}
	if err := w.ask(setup, &w.hello); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *worker) ask(question, answer any) error {
	if err := json.NewEncoder(w.in).Encode(question); err != nil {
		return err
	}
	if !w.out.Scan() {
		return errors.Join(errors.New("the script ended"), w.out.Err())
	}
	return json.Unmarshal(w.out.Bytes(), answer)
}

func (w *worker) call(runtime, way string, cpu bool) (float64, error) {
	var answer struct {
		Seconds float64 `json:"seconds"`
	}
	err := w.ask(map[string]any{"runtime": runtime, "way": way, "calls": 1, "cpu": cpu}, &answer)
	return answer.Seconds, err
}

func (w *worker) close() {
	w.in.Close()
	// It was asked to end; how it does is of no interest.
	_ = w.process.Wait()
	os.RemoveAll(w.folder)
}

func (r *report) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(t, "%s\t%s\n", name, r.Versions[name])
	}
	fmt.Fprintln(t, "\nmodel\truntime\tthreads\t\tms\tx real time\tours is\tframes equal\tSNR")
	for _, c := range r.Codec {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%.1f\t%.1f\t%.2f x\t%.4f\t%.0f dB\n", c.Model, c.Runtime, c.Threads, c.Way, 1000*c.Seconds, c.RealTime, c.Ours, c.Frames, c.SNR)
	}
	if len(r.Products) > 0 {
		fmt.Fprintln(t, "\nproduct\tthreads\tGFLOP/s\tOpenBLAS\tratio\tof FMA peak")
		for _, p := range r.Products {
			fmt.Fprintf(t, "%dx%dx%d\t%d\t%.1f\t%.1f\t%.2f\t%.0f %%\n", p.M, p.K, p.N, p.Threads, p.Ours/1e9, p.Peer/1e9, p.Ratio, 100*p.Peak)
		}
	}
	for _, m := range r.Missing {
		fmt.Fprintf(t, "missing: %s\n", m)
	}
	return t.Flush()
}
