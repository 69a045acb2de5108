package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/quality"
)

type evalCmd struct {
	Codec  evalCodecCmd  `cmd:"" help:"Compare decoded speech with the original."`
	RVQ    evalRVQCmd    `cmd:"" name:"rvq" help:"Look at codebooks: use, entropy, error, stability of tokens."`
	ASR    evalASRCmd    `cmd:"" name:"asr" help:"Compare what a recogniser hears with transcripts."`
	Tokens evalTokensCmd `cmd:"" help:"Say what a language model finds in the tokens, and what they cost as bits."`
}

// Help is shown by --help.
func (evalCmd) Help() string { return evalCodecCmd{}.Help() }

type evalCodecCmd struct {
	decoderFlag
	deviceFlag
	Data       string  `placeholder:"TSV" help:"Manifest with the columns path and split; $$SOTTO_DATA/speech/manifest.tsv by default."`
	Split      string  `default:"valid" help:"Rows to use, by their split; \"\" is all."`
	Source     string  `placeholder:"NAME" help:"Rows to use, by the first folder of their path."`
	MaxSeconds float64 `placeholder:"S" help:"Use no more than the first S seconds of each clip."`
	Clips      bool    `help:"Give the figures of each clip as well."`
	ASR        bool    `name:"asr" help:"Count word errors of a recogniser on decoded speech, for rows that have a text."`
	Recognizer string  `placeholder:"FILE" help:"With --asr, the recogniser; the one inside this program by default."`
	Threads    int     `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	JSON       bool    `name:"json" help:"Print one JSON object."`

	Peers bool   `help:"Measure Opus, Codec2, Speex and Lyra in the same run."`
	Lyra  string `placeholder:"DIR" help:"Coefficients of Lyra; $$SOTTO_DATA/peers/lyra_v2 by default."`
	PESQ  string `name:"pesq" placeholder:"PYTHON" help:"With --peers, wide-band PESQ by this Python, which has the package pesq."`
	Plot  string `placeholder:"PNG" help:"With --peers, draw quality over bitrate."`
	Force bool   `short:"f" help:"Replace an existing plot."`
}

// Help is shown by --help.
func (evalCodecCmd) Help() string {
	return `For every bitrate, and without quantization where the model offers it, the means over clips of: extended STOI (0 to 1, higher is better), mel distance (lower is better), SI-SDR in dB (higher is better), difference of loudness (BS.1770) in LU; and how many of the entries of each codebook are used. Sound is brought to mono at the model's rate.

With --peers, opusenc, opusdec, c2enc, c2dec, speexenc and speexdec are taken from the PATH (one that is missing is named and left out), and every codec runs through the same clips and measures at 16 kHz. The bitrate is measured, without containers; MEL 8K is the mel distance of both sounds at 8 kHz, USED the least share of a codebook's entries; what a decoder gives is moved by up to 100 ms to where it fits the original.

Examples:
  sotto eval codec --data speech/manifest.tsv --split valid
  sotto eval codec --source librispeech --json
  sotto eval codec --source ljspeech --asr
  sotto eval codec --source librispeech --peers --pesq python3 --plot curves.png`
}

// Validate refuses numbers out of range.
func (c *evalCodecCmd) Validate() error {
	if c.Threads < 0 || c.MaxSeconds < 0 {
		return errors.New("--threads and --max-seconds must not be negative")
	}
	if !c.ASR && c.Recognizer != "" {
		return errors.New("--recognizer goes with --asr")
	}
	if c.ASR && c.Peers {
		return errors.New("--asr and --peers exclude each other")
	}
	if !c.Peers && (c.PESQ != "" || c.Plot != "" || c.Lyra != "") {
		return errors.New("--pesq, --plot and --lyra go with --peers")
	}
	return nil
}

// Run is called by kong.
func (c *evalCodecCmd) Run(s *session) error {
	useThreads(c.Threads)
	manifest, clips, err := clipsOf(c.Data, c.Split, c.Source)
	if err != nil {
		return err
	}
	model, err := c.load()
	if err == nil {
		model, err = c.codec(s, model)
	}
	if err != nil {
		return err
	}
	if c.Peers {
		return c.compare(s, model, clips)
	}
	bars := newProgress(s.stderr)
	report, end := bars.task("clips", int64(len(clips)))
	r, err := quality.Evaluate(s.ctx, model, clips, c.MaxSeconds, runtime.GOMAXPROCS(0), report)
	end()
	bars.wait()
	if err != nil {
		return err
	}
	if !c.Clips {
		r.PerClip = nil
	}
	words, err := c.recognize(s, model, manifest)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(struct {
			*quality.Report
			ASR *quality.RecognizerReport `json:"asr,omitempty"`
		}{r, words})
	}
	if err := printQuality(s.stdout, r); err != nil || words == nil {
		return err
	}
	fmt.Fprintln(s.stdout)
	words.Errors, words.Latency = nil, nil
	return printRecognition(s.stdout, words)
}

// recognize counts word errors on decoded speech.
func (c *evalCodecCmd) recognize(s *session, model codec.Codec, manifest string) (*quality.RecognizerReport, error) {
	if !c.ASR {
		return nil, nil
	}
	clips, err := quality.ReadTranscripts(manifest, c.Split, c.Source)
	if err != nil {
		return nil, err
	}
	recognizer, err := (&recognizerFlags{Model: c.Recognizer}).load()
	if err != nil {
		return nil, err
	}
	bars := newProgress(s.stderr)
	report, end := bars.task("recordings", int64(len(clips)))
	defer bars.wait()
	defer end()
	r, err := quality.EvaluateRecognizer(s.ctx, recognizer, clips, quality.RecognizerOptions{Codec: model, Decoded: true, Parallel: runtime.GOMAXPROCS(0)}, report)
	if err == nil {
		r.PerClip = nil
	}
	return r, err
}

// clipsOf lists the files of the manifest that a flag names, or of that of SOTTO_DATA.
func clipsOf(data, split, source string) (manifest string, clips []string, err error) {
	if manifest, err = dataManifest(data); err != nil {
		return "", nil, err
	}
	clips, err = quality.ReadManifest(manifest, split, source)
	if os.IsNotExist(err) {
		err = missing(manifest)
	}
	return manifest, clips, err
}

func printQuality(w io.Writer, r *quality.Report) error {
	fmt.Fprintf(w, "%s (%s), %d clips, %s\n\n", r.Model, r.Fingerprint, r.Clips, duration(r.Seconds))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KBIT/S\tESTOI\t\tMEL\tSI-SDR\tLOUDNESS")
	for _, step := range r.Steps {
		v := r.ESTOI[step]
		bar := strings.Repeat("#", int(min(max(v, 0), 1)*30+0.5))
		fmt.Fprintf(t, "%s\t%.3f\t%-30s\t%.3f\t%.2f dB\t± %.2f LU\n", step, v, bar, r.Mel[step], r.SISDR[step], r.Loudness[step])
	}
	fmt.Fprintln(t, "\nCODEBOOK\tUSED\tPERPLEXITY\tBITS")
	for i, b := range r.Codebooks {
		fmt.Fprintf(t, "%d\t%.1f %% of %d\t%.0f\t%.2f\n", i, 100*b.Used, b.Size, b.Perplexity, b.Entropy)
	}
	if len(r.PerClip) > 0 {
		fmt.Fprintf(t, "\nCLIP\tESTOI %s\n", strings.Join(r.Steps, "\t"))
		for _, c := range r.PerClip {
			fmt.Fprint(t, c.Path)
			for _, step := range r.Steps {
				fmt.Fprintf(t, "\t%.3f", c.ESTOI[step])
			}
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}
