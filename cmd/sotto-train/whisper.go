package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/asr/whisper"
	"github.com/sotto-audio/sotto/internal/audio"
	devices "github.com/sotto-audio/sotto/internal/device"
	"github.com/sotto-audio/sotto/internal/manifest"
)

type whisperCmd struct {
	Model    string  `required:"" placeholder:"FILE" help:"Whisper checkpoint: .pt, a folder of Transformers, or ggml."`
	Words    string  `placeholder:"DIR" help:"Folder of JSON files from sotto transcribe --format json: recordings with the times of their words."`
	Data     string  `placeholder:"MANIFEST" help:"Recordings with transcripts (tab-separated: path, split, lang, text), whose words the checkpoint itself finds in time."`
	Out      string  `required:"" placeholder:"FILE" help:"Adapter to write (safetensors)."`
	Init     string  `placeholder:"FILE" help:"Adapter to go on from."`
	Chunk    int     `default:"300" placeholder:"MS" help:"Chunk to train for, a multiple of 20."`
	Startup  int     `default:"0" placeholder:"N" help:"Further chunks that the first one waits for."`
	Rank     int     `default:"16" help:"Rank of the updates."`
	Alpha    float64 `help:"Weight of the updates, in ranks; the rank by default."`
	Steps    int     `default:"1000" help:"Updates."`
	Batch    int     `default:"4" help:"Recordings of an update."`
	Share    float64 `default:"0.25" help:"Share of the ends of chunks that are trained on."`
	Lr       float64 `default:"1e-4" help:"Learning rate."`
	Language string  `default:"en" help:"Language of the recordings."`
	Every    int     `default:"25" help:"Updates between lines of the log and saved adapters."`
	Held     int     `default:"4" help:"Recordings to hold back and judge by."`
	deviceFlag
}

// Help is shown with --help.
func (whisperCmd) Help() string {
	return `The decoder learns to say, at ends of chunks, the words that ended before, and then nothing: so that the checkpoint can hear live (arXiv:2508.12301). Only low-rank updates of the attention are trained. Recordings of more than 30 s are left out.

Example:
  sotto transcribe --format json --out words/ speech/*.flac
  sotto-train whisper --model tiny.pt --words words/ --chunk 300 --out live.safetensors
  sotto transcribe --model tiny.pt --adapter live.safetensors talk.wav`
}

// Validate refuses what cannot be trained.
func (c *whisperCmd) Validate() error {
	switch {
	case (c.Words == "") == (c.Data == ""):
		return errors.New("give either --words or --data")
	case c.Steps < 1 || c.Batch < 1 || c.Every < 1 || c.Held < 1:
		return errors.New("--steps, --batch, --every and --held must be 1 or more")
	case c.Chunk < 20 || c.Chunk%20 != 0 || c.Chunk > 10000:
		return errors.New("--chunk must be a multiple of 20, up to 10000")
	case c.Share <= 0 || c.Share > 1:
		return errors.New("--share must be above 0 and up to 1")
	}
	return nil
}

// Run trains until the steps are done or a signal comes; what there is then is
// saved.
func (c *whisperCmd) Run(ctx context.Context) error {
	model, err := whisper.Load(c.Model)
	if err != nil {
		return err
	}
	if name := c.name(); name != devices.CPU {
		if model, err = model.On(name); err != nil {
			return err
		}
	}
	adapter := &whisper.Adapter{Rank: c.Rank, Alpha: c.Alpha, Chunk: time.Duration(c.Chunk) * time.Millisecond, Startup: c.Startup}
	if c.Alpha == 0 {
		adapter.Alpha = float64(c.Rank)
	}
	if c.Init != "" {
		if adapter, err = whisper.LoadAdapter(c.Init); err != nil {
			return err
		}
	}
	all, err := c.load(ctx, model)
	if err != nil {
		return err
	}
	if len(all) <= c.Held {
		return fmt.Errorf("%d recordings of up to 30 s with words: more than the %d of --held are needed", len(all), c.Held)
	}
	held, all := all[:c.Held], all[c.Held:]
	fmt.Fprintf(os.Stderr, "%d recordings, %d held back\n", len(all), len(held))
	tuner, err := whisper.NewTuner(model, adapter, 1)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 1))
	judge := func() (float64, error) {
		sum := 0.0
		for _, u := range held {
			l, err := tuner.Loss(u, c.Language, 1)
			if err != nil {
				return 0, err
			}
			sum += l / float64(len(held))
		}
		return sum, nil
	}
	first, err := judge()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "step 0: held-back loss %.4f\n", first)
	loss := 0.0
	for step := 1; step <= c.Steps && ctx.Err() == nil; step++ {
		var batch []*whisper.Utterance
		for range c.Batch {
			batch = append(batch, all[random.IntN(len(all))])
		}
		l, err := tuner.Learn(batch, c.Language, c.Share, c.Lr)
		if err != nil {
			return err
		}
		loss += l / float64(c.Every)
		if step%c.Every == 0 || step == c.Steps {
			h, err := judge()
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "step %d: loss %.4f, held-back loss %.4f\n", step, loss, h)
			loss = 0
			if err := c.save(adapter); err != nil {
				return err
			}
		}
	}
	return c.save(adapter)
}

// save writes the adapter to a temporary name and renames it.
func (c *whisperCmd) save(a *whisper.Adapter) error {
	data, err := a.Bytes()
	if err != nil {
		return err
	}
	part := c.Out + ".part"
	if err := os.WriteFile(part, data, 0o666); err != nil {
		return fmt.Errorf("%s: %w", c.Out, errors.Unwrap(err))
	}
	return os.Rename(part, c.Out)
}

// load reads the recordings with their words.
func (c *whisperCmd) load(ctx context.Context, model *whisper.Model) ([]*whisper.Utterance, error) {
	if c.Words != "" {
		return c.loadWords(ctx)
	}
	f, err := os.Open(c.Data)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := manifest.Read(f, "path", "split", "lang", "text")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Data, err)
	}
	var all []*whisper.Utterance
	for _, r := range rows {
		path, split, lang, text := r.Fields[0], r.Fields[1], r.Fields[2], r.Fields[3]
		if split != "train" || text == "" || lang != "" && lang != c.Language {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pcm, err := audio.ReadMono(filepath.Join(filepath.Dir(c.Data), filepath.FromSlash(path)), whisper.SampleRate)
		if err != nil {
			return nil, err
		}
		if len(pcm) > 30*whisper.SampleRate {
			continue
		}
		words, err := model.Align(pcm, text, c.Language)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(words) > 0 {
			all = append(all, &whisper.Utterance{PCM: pcm, Words: words})
		}
	}
	return all, nil
}

func (c *whisperCmd) loadWords(ctx context.Context) ([]*whisper.Utterance, error) {
	files, err := filepath.Glob(filepath.Join(c.Words, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: holds no .json files: fill it with sotto transcribe --format json --out %s", c.Words, c.Words)
	}
	var all []*whisper.Utterance
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var t struct {
			File     string
			Segments []struct {
				Words []struct {
					Text       string
					Start, End float64
				}
			}
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &t); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pcm, err := audio.ReadMono(t.File, whisper.SampleRate)
		if err != nil {
			return nil, err
		}
		u := &whisper.Utterance{PCM: pcm}
		for _, s := range t.Segments {
			for _, w := range s.Words {
				u.Words = append(u.Words, whisper.Word{Text: " " + strings.TrimSpace(w.Text), Start: w.Start, End: w.End})
			}
		}
		if len(u.Words) > 0 && len(pcm) <= 30*whisper.SampleRate {
			all = append(all, u)
		}
	}
	return all, nil
}
