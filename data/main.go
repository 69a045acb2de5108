// Data rebuilds the training speech of this project from public repositories:
//
//	go run ./data --out DIR
//
// It clones each source of sources.tsv at its commit (git must be installed),
// checks the SHA-256 of what it is about to use, decodes, mixes down, resamples,
// drops clips that are broken, too short, silent or clipped, and writes 16 kHz
// mono 16-bit FLAC files and DIR/manifest.tsv. README.md says what is in it.
package main

import (
	"bufio"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/sotto-audio/sotto/internal/audio"
)

//go:embed sources.tsv
var sourcesTSV string

//go:embed heldout.tsv
var heldoutTSV string

func main() {
	fs := flag.NewFlagSet("data", flag.ExitOnError)
	out := fs.String("out", "", "folder to write the clips and manifest.tsv to")
	clones := fs.String("clones", "", "folder of the clones (default OUT/clones)")
	without := fs.String("without", "", "manifest.tsv of clips that you have already: they are left out")
	only := fs.String("only", "", "names of sources to build, separated by commas (default all)")
	texts := fs.Bool("texts", false, "write the texts of the language model, of texts.tsv, instead")
	exclude := fs.String("exclude", "", "manifests, parted by commas: with --texts, no sentence of their valid and test rows is used")
	if err := fs.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	if *out == "" || fs.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "data: name the folder to write: go run ./data --out DIR")
		os.Exit(2)
	}
	if *clones == "" {
		*clones = filepath.Join(*out, "clones")
	}
	var err error
	switch {
	case !*texts:
		err = run(*out, *clones, *without, *only)
	case *exclude == "":
		err = errors.New("--texts needs --exclude")
	default:
		err = writeTexts(*out, *clones, *only, strings.Split(*exclude, ","))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "data:", err)
		os.Exit(1)
	}
}

func run(out, clones, without, only string) error {
	sources, err := parseSources(sourcesTSV)
	if err != nil {
		return fmt.Errorf("sources.tsv: %w", err)
	}
	if sources, err = choose(sources, only); err != nil {
		return err
	}
	held := heldout(heldoutTSV)
	skip := map[string]bool{}
	if without != "" {
		if skip, err = idsOf(without); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	var rows []string
	for _, s := range sources {
		more, err := build(s, out, clones, skip, held)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, more...)
	}
	name := filepath.Join(out, "manifest.tsv")
	head := "path\tseconds\tsplit\tspeaker\tlang\ttext\n"
	if err := os.WriteFile(name+".tmp", []byte(head+strings.Join(rows, "")), 0o666); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name)
}

// build writes the clips of one source and gives their rows of the manifest.
func build(s source, out, clones string, skip map[string]bool, held map[string]string) (rows []string, err error) {
	g, clips, err := s.open(clones)
	if err != nil {
		return nil, err
	}
	defer g.close()
	var total float64
	dropped := map[string]int{}
	for _, c := range clips {
		if skip[baseID(c.id)] {
			dropped["already there"]++
			continue
		}
		b, err := g.read(c.file)
		if err != nil {
			return nil, err
		}
		seconds, why, err := convert(b, filepath.Join(out, c.path), c.file)
		if err != nil {
			return nil, err
		}
		if why != "" {
			dropped[why]++
			continue
		}
		split := s.role
		for _, id := range []string{baseID(c.id), c.speaker} {
			if held[id] != "" {
				split = held[id]
			}
		}
		total += seconds
		rows = append(rows, fmt.Sprintf("%s\t%.2f\t%s\t%s\t%s\t%s\n", filepath.ToSlash(c.path), seconds, split, c.speaker, s.lang, c.text))
	}
	fmt.Printf("%s (%s): %d clips, %.2f h%s\n", s.name, s.paths, len(rows), total/3600, counts(dropped))
	return rows, nil
}

// choose gives the sources named in only, or all where it is empty.
func choose(sources []source, only string) ([]source, error) {
	if only == "" {
		return sources, nil
	}
	var chosen []source
	for _, name := range strings.Split(only, ",") {
		n := len(chosen)
		for _, s := range sources {
			if s.name == name {
				chosen = append(chosen, s)
			}
		}
		if n == len(chosen) {
			return nil, fmt.Errorf("--only: no source %q in sources.tsv", name)
		}
	}
	return chosen, nil
}

// counts prints why clips were dropped, in a fixed order.
func counts(dropped map[string]int) string {
	var s []string
	for why, n := range dropped {
		s = append(s, fmt.Sprintf("%d %s", n, why))
	}
	if len(s) == 0 {
		return ""
	}
	sort.Strings(s)
	return "; left out: " + strings.Join(s, ", ")
}

// heldout gives the split of the clips and speakers that are kept for
// validation and test, so that a rebuilt set never trains on them.
func heldout(tsv string) map[string]string {
	held := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(tsv), "\n")[1:] {
		id, split, _ := strings.Cut(line, "\t")
		held[id] = split
	}
	return held
}

// idsOf gives the clip names of a manifest.
func idsOf(manifest string) (map[string]bool, error) {
	f, err := os.Open(manifest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids := map[string]bool{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		p, _, _ := strings.Cut(sc.Text(), "\t")
		p = filepath.Base(filepath.FromSlash(p))
		ids[baseID(strings.TrimSuffix(p, filepath.Ext(p)))] = true
	}
	return ids, sc.Err()
}

// convert decodes one clip into a 16 kHz mono FLAC file. It returns its length
// in seconds, or why it was left out.
func convert(blob []byte, path, name string) (seconds float64, why string, err error) {
	x, why := decode(blob, name)
	if why != "" {
		return 0, why, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return 0, "", err
	}
	f, err := os.Create(path)
	if err != nil {
		return 0, "", err
	}
	w, err := audio.NewFLACWriter(f, audio.Format{SampleRate: sampleRate, Channels: 1, Bits: 16})
	if err == nil {
		err = errors.Join(w.Write(x), w.Close())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, "", fmt.Errorf("%s: %w", path, err)
	}
	return float64(len(x)) / sampleRate, "", nil
}
