// Synth makes speech with text from free speech synthesisers, and the text of
// language models, out of texts in the public domain:
//
//	go run ./data/synth --out DIR --exclude MANIFEST… --hours 8 NAME=FILE…
//
// It writes DIR/text/NAME.txt, one sentence a line as recognisers are trained on
// it, and batches of 16 kHz mono FLAC files with DIR/manifest.tsv, which grows
// with every batch. Half of the speech are short dictations and commands from a
// grammar, the other half sentences of the texts. The same seed gives the same
// texts, voices and settings; a run that was cut short goes on where it stopped.
//
// With --check the files are texts or manifests that must hold no such sentence:
// the command fails and names those that do.
//
// It needs espeak-ng, flite and festival with the voices that voices.go lists.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/sotto-audio/sotto/internal/manifest"
	"github.com/sotto-audio/sotto/internal/transcript"
)

const (
	batchSize   = 200
	sampleRate  = 16000
	meanSeconds = 4.2 // of an utterance, to plan by
)

type options struct {
	out      string
	exclude  []string
	seed     uint64
	hours    float64
	dictated float64
	jobs     int
	check    bool
	times    bool
}

func main() {
	var o options
	f := flag.NewFlagSet("synth", flag.ExitOnError)
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "usage: go run ./data/synth --out DIR --exclude MANIFEST… [flags] NAME=FILE…\n\nFILE is a book of Project Gutenberg, a metadata.csv of LJ Speech, a prompt list of\nFestvox, verses as `bible -f` prints them, or plain text; data/README.md names some.")
		f.PrintDefaults()
	}
	f.StringVar(&o.out, "out", "", "folder to write to")
	f.BoolVar(&o.times, "times", false, "festival's voices only, with a column of begin and end of each word, for tests of word times")
	exclude := f.String("exclude", "", "manifests, parted by commas: no sentence of their valid and test rows is used")
	f.Uint64Var(&o.seed, "seed", 1, "seed of all choices")
	f.Float64Var(&o.hours, "hours", 8, "hours of speech to make; 0 writes text only")
	f.Float64Var(&o.dictated, "dictated", 0.5, "share of utterances from the grammar")
	f.IntVar(&o.jobs, "jobs", 1, "synthesisers at a time")
	f.BoolVar(&o.check, "check", false, "make nothing: look for held-out sentences in FILE…, one a line or a manifest")
	_ = f.Parse(os.Args[1:])
	if o.out == "" && !o.check || *exclude == "" {
		f.Usage()
		os.Exit(2)
	}
	o.exclude = strings.Split(*exclude, ",")
	if err := run(o, f.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "synth:", err)
		os.Exit(1)
	}
}

func run(o options, texts []string) error {
	held, err := transcript.ReadHeldOut(o.exclude...)
	if err != nil {
		return err
	}
	if o.check {
		return check(texts, held)
	}
	if err := os.MkdirAll(filepath.Join(o.out, "text"), 0o777); err != nil {
		return err
	}
	var all []sentence
	for _, arg := range texts {
		name, file, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q: give texts as NAME=FILE", arg)
		}
		sentences, dropped, err := readText(file, held)
		if err != nil {
			return err
		}
		if err := writeLines(filepath.Join(o.out, "text", name+".txt"), sentences); err != nil {
			return err
		}
		fmt.Printf("%s: %d sentences, %d left out because of held-out ones\n", name, len(sentences), dropped)
		all = append(all, sentences...)
	}
	names := properNames(all)
	dictation := newGrammar(names)
	if err := writeLines(filepath.Join(o.out, "text", "dictation.txt"), dictation.many(o.seed, 20000, held)); err != nil {
		return err
	}
	return speak(o, all, dictation, held)
}

// speak makes the speech, batch by batch.
func speak(o options, all []sentence, g *grammar, held *transcript.HeldOut) error {
	var done float64
	table := filepath.Join(o.out, "manifest.tsv")
	columns := []string{"path", "seconds", "split", "speaker", "lang", "text"}
	if o.times {
		columns = append(columns, "times")
	}
	rows, have, err := readDone(table, columns)
	if err != nil {
		return err
	}
	for _, s := range have {
		done += s
	}
	spoken := speakable(all)
	split := "train"
	if o.times {
		split = "test"
	}
	for batch := 0; done < o.hours*3600; batch++ {
		first := batch * batchSize
		if _, ok := have[clipPath(first)]; ok {
			continue
		}
		utts := make([]utterance, 0, batchSize)
		for i := first; i < first+batchSize; i++ {
			utts = append(utts, plan(o, i, spoken, g, held))
		}
		clips, err := render(utts, o.out, o.jobs)
		if err != nil {
			return err
		}
		for _, c := range clips {
			row := fmt.Sprintf("%s\t%.2f\t%s\t%s\ten\t%s", c.path, c.seconds, split, c.voice.speaker(), c.text)
			if o.times {
				row += "\t" + c.times
			}
			rows = append(rows, row+"\n")
			done += c.seconds
		}
		if err := writeFile(table, strings.Join(columns, "\t")+"\n"+strings.Join(rows, "")); err != nil {
			return err
		}
		fmt.Printf("\rbatch %d: %.2f of %.1f h", batch, done/3600, o.hours)
	}
	fmt.Println()
	return nil
}

// plan chooses text, voice and settings of utterance i, by the seed alone.
func plan(o options, i int, all []sentence, g *grammar, held *transcript.HeldOut) utterance {
	rng := rand.New(rand.NewPCG(o.seed, uint64(i)))
	u := utterance{path: clipPath(i), seed: rng.Uint64()}
	if len(all) == 0 || rng.Float64() < o.dictated {
		u.sentence = g.one(rng, held)
	} else {
		u.sentence = all[rng.IntN(len(all))]
	}
	u.voice = chooseVoice(rng)
	u.settings = chooseSettings(rng)
	if o.times {
		u.voice = voice{"festival", pick(rng, festivalVoices)}
		u.speed, u.withTimes = 1, true
	}
	return u
}

func clipPath(i int) string { return fmt.Sprintf("%03d/%06d.flac", i/batchSize, i) }

// readDone gives the rows that an earlier run wrote, and their seconds by path.
func readDone(table string, columns []string) (rows []string, have map[string]float64, err error) {
	have = map[string]float64{}
	f, err := os.Open(table)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, have, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	old, err := manifest.Read(f, columns...)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", table, err)
	}
	for _, r := range old {
		var s float64
		if _, err := fmt.Sscan(r.Fields[1], &s); err != nil {
			return nil, nil, fmt.Errorf("%s: line %d: seconds: %w", table, r.Line, err)
		}
		have[r.Fields[0]] = s
		rows = append(rows, strings.Join(r.Fields, "\t")+"\n")
	}
	return rows, have, nil
}

func writeLines(path string, s []sentence) error {
	var b strings.Builder
	for _, x := range s {
		b.WriteString(x.text + "\n")
	}
	return writeFile(path, b.String())
}

func writeFile(path, text string) error {
	if err := os.WriteFile(path+".tmp", []byte(text), 0o666); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
