package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/quality"
)

type evalASRCmd struct {
	recognizerFlags
	Data    string `placeholder:"TSV" help:"Manifest with the columns path, split and text; $$SOTTO_DATA/speech/manifest.tsv by default."`
	Split   string `default:"valid" help:"Rows to use, by their split; \"\" is all."`
	Source  string `placeholder:"NAME" help:"Rows to use, by the first folder of their path."`
	Raw     bool   `help:"Compare words as they are spoken: numbers are not merged into digits."`
	Tokens  bool   `help:"Recognise from the codec's tokens as well, at each of its bitrates."`
	Decoded bool   `help:"Recognise decoded sound as well, at each of the codec's bitrates."`
	Clips   bool   `help:"Give what was heard in each recording as well."`
	Threads int    `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	JSON    bool   `name:"json" help:"Print one JSON object."`
}

// Help is shown by --help.
func (evalASRCmd) Help() string {
	return `Word and character error rates against the transcripts of a manifest, both brought to one form first: without case, punctuation and fillers, contractions and titles written out, numbers in digits (not with --raw). Latency is counted for each word: how much sound had arrived when it was committed, less its end. A manifest that also has a column "times" (begin-end of each word in seconds) gives errors of the word times.

Examples:
  sotto eval asr --source ljspeech
  sotto eval asr --raw --split test --json
  sotto eval asr --tokens --decoded --clips --lm names.lm
  sotto eval asr --offline --beam 16 --data talks/manifest.tsv --split ""`
}

// Validate refuses numbers out of range.
func (c *evalASRCmd) Validate() error {
	if c.Threads < 0 {
		return errors.New("--threads must not be negative")
	}
	return c.recognizerFlags.Validate()
}

// Run is called by kong.
func (c *evalASRCmd) Run(s *session) error {
	useThreads(c.Threads)
	path, err := dataManifest(c.Data)
	if err != nil {
		return err
	}
	clips, err := quality.ReadTranscripts(path, c.Split, c.Source)
	if err != nil {
		if os.IsNotExist(err) {
			return missing(path)
		}
		return err
	}
	model, err := c.load()
	if err != nil {
		return err
	}
	o := quality.RecognizerOptions{Raw: c.Raw, Tokens: c.Tokens, Decoded: c.Decoded, Parallel: runtime.GOMAXPROCS(0)}
	if o.Options, err = c.options(model); err != nil {
		return err
	}
	if c.Tokens || c.Decoded {
		if o.Codec, err = codecOf(model, c.Tokens); err != nil {
			return err
		}
	}
	bars := newProgress(s.stderr)
	report, end := bars.task("recordings", int64(len(clips)))
	r, err := quality.EvaluateRecognizer(s.ctx, model, clips, o, report)
	end()
	bars.wait()
	if err != nil {
		return err
	}
	if !c.Clips {
		r.PerClip = nil
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(r)
	}
	return printRecognition(s.stdout, r)
}

// dataManifest is the manifest that a flag names, or the one of SOTTO_DATA.
func dataManifest(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	root := os.Getenv("SOTTO_DATA")
	if root == "" {
		return "", &usageError{errors.New("no data: SOTTO_DATA is not set: give --data manifest.tsv")}
	}
	return filepath.Join(root, "speech", "manifest.tsv"), nil
}

// codecOf is the codec of this program; for tokens it must be the recogniser's.
func codecOf(model asr.Recognizer, tokens bool) (codec.Codec, error) {
	c, err := embedded()
	if err != nil {
		return nil, err
	}
	if _, ok := model.(asr.TokenStreamer); tokens && (!ok || model.Info().Codec != c.Info().Fingerprint) {
		return nil, &usageError{fmt.Errorf("--tokens: %s does not hear the tokens of %s", model.Info().Name, c.Info().Name)}
	}
	return c, nil
}

// rates are the keys of figures by bitrate, in order.
func rates(m map[string]quality.Recognition) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return int(1000*x) - int(1000*y)
	})
}

func printRecognition(w io.Writer, r *quality.RecognizerReport) error {
	fmt.Fprintf(w, "%s (%s), %d recordings, %s, %.0f x real time\n\n", r.Model, r.Fingerprint, r.Clips, duration(r.Seconds), r.Speed)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FROM\tWER\tCER\tWORDS\tSUBSTITUTED\tLEFT OUT\tADDED")
	row := func(from string, f quality.Recognition) {
		fmt.Fprintf(t, "%s\t%.2f %%\t%.2f %%\t%d\t%d\t%d\t%d\n", from, 100*f.WER, 100*f.CER, f.Words, f.Substitutions, f.Deletions, f.Insertions)
	}
	row("sound", r.Recognition)
	for _, k := range rates(r.Tokens) {
		row("tokens, "+k+" kbit/s", r.Tokens[k])
	}
	for _, k := range rates(r.Decoded) {
		row("decoded, "+k+" kbit/s", r.Decoded[k])
	}
	if l := r.Latency; l != nil {
		fmt.Fprintf(t, "\nLATENCY\tmedian %.0f ms\t95 %% %.0f ms\tmost %.0f ms\talgorithmic %.0f ms\n", l.Median, l.P95, l.Max, l.Algorithmic)
	}
	if e := r.Times; e != nil {
		fmt.Fprintf(t, "\nTIMES\tbegin: median %.0f ms, 95 %% %.0f ms, bias %+.0f ms\n\tend: median %.0f ms, 95 %% %.0f ms, bias %+.0f ms\n", e.Begin.Median, e.Begin.P95, e.BeginBias, e.End.Median, e.End.P95, e.EndBias)
	}
	const most = 30
	if len(r.Errors) > 0 {
		fmt.Fprintln(t, "\nERRORS\tSAID\tHEARD")
		for _, e := range r.Errors[:min(most, len(r.Errors))] {
			fmt.Fprintf(t, "%d\t%s\t%s\n", e.Count, dash(e.Ref), dash(e.Hyp))
		}
		if n := len(r.Errors) - most; n > 0 {
			fmt.Fprintf(t, "… and %d more kinds (--json gives all)\n", n)
		}
	}
	for _, c := range r.PerClip {
		fmt.Fprintf(t, "\n%s\t%.0f %%\nsaid\t%s\nheard\t%s\n", c.Path, 100*c.WER, c.Ref, c.Hyp)
	}
	return t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
