package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/sotto-audio/sotto/internal/transcript"
)

// texts.tsv lists the texts of the language model; README.md explains the columns.
//
//go:embed texts.tsv
var textsTSV string

// maxText bounds the size of a file that is read: larger ones are left out, because
// not every mirror of a repository has them.
const maxText = 4 << 20

// text is one row of texts.tsv.
type text struct {
	name, format, repository, commit, paths string
	sentences                               func(string) ([]string, error)
}

func parseTexts(tsv string) ([]text, error) {
	var out []text
	for i, line := range strings.Split(strings.TrimSpace(tsv), "\n")[1:] {
		c := strings.Split(line, "\t")
		if len(c) != 7 {
			return nil, fmt.Errorf("row %d has %d columns, not 7", i+2, len(c))
		}
		t := text{name: c[0], format: c[1], repository: c[2], commit: c[3], paths: c[4]}
		if t.sentences = formats[t.format]; t.sentences == nil {
			return nil, fmt.Errorf("row %d: unknown format %q", i+2, t.format)
		}
		out = append(out, t)
	}
	return out, nil
}

// writeTexts writes OUT/NAME.txt for each text: a sentence a line, as recognisers are
// trained on it, without those that are held out.
func writeTexts(out, clones, only string, exclude []string) error {
	all, err := parseTexts(textsTSV)
	if err != nil {
		return fmt.Errorf("texts.tsv: %w", err)
	}
	held, err := transcript.ReadHeldOut(exclude...)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	for _, t := range all {
		if only != "" && !strings.Contains(","+only+",", ","+t.name+",") {
			continue
		}
		if err := t.write(filepath.Join(out, t.name+".txt"), clones, held); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// cleaned are the sentences of one file that are kept.
type cleaned struct {
	sentences    []string
	dropped, odd int
	err          error
	name         string
	ready        chan struct{}
}

func (t text) write(path, clones string, held *transcript.HeldOut) error {
	g, err := openRepo(filepath.Join(clones, strings.ReplaceAll(t.repository, "/", "+")), "https://github.com/"+t.repository, t.commit)
	if err != nil {
		return err
	}
	defer g.close()
	var names []string
	for _, pattern := range strings.Split(t.paths, "|") {
		names = append(names, g.match(pattern)...)
	}
	if len(names) == 0 {
		return fmt.Errorf("no file fits %q", t.paths)
	}
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)

	jobs, results := make(chan func(), runtime.GOMAXPROCS(0)), make(chan *cleaned, 4*runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for job := range jobs {
				job()
			}
		})
	}
	missing := 0
	go func() {
		// Files are read in order, and their results queue in it.
		defer func() { close(jobs); close(results) }()
		for _, name := range names {
			b, err := g.read(name)
			if errors.Is(err, errLacks) || len(b) > maxText {
				missing++
				continue
			}
			c := &cleaned{name: name, err: err, ready: make(chan struct{})}
			results <- c
			if err != nil {
				close(c.ready)
				return
			}
			jobs <- func() {
				c.clean(t.sentences, string(b), held)
				close(c.ready)
			}
		}
	}()
	seen := map[uint64]bool{} // sentences met before: dialogues and editions repeat them
	total, words, dropped, again, odd := 0, 0, 0, 0, 0
	for c := range results {
		<-c.ready
		if c.err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", c.name, c.err))
			continue
		}
		dropped, odd = dropped+c.dropped, odd+c.odd
		for _, s := range c.sentences {
			if h := hashOf(s); seen[h] {
				again++
				continue
			} else {
				seen[h] = true
			}
			total++
			words += 1 + strings.Count(s, " ")
			w.WriteString(s)
			w.WriteByte('\n')
		}
	}
	workers.Wait()
	if err := errors.Join(err, w.Flush(), f.Close()); err != nil {
		return err
	}
	fmt.Printf("%s: %d files (%d more too large), %d sentences of %d words; left out: %d held out, %d met before, %d that are no English sentence\n",
		t.name, len(names)-missing, missing, total, words, dropped, again, odd)
	return os.Rename(path+".tmp", path)
}

// clean brings the sentences of a file to their spoken form.
func (c *cleaned) clean(split func(string) ([]string, error), file string, held *transcript.HeldOut) {
	file = strings.ReplaceAll(strings.TrimPrefix(file, "\ufeff"), "\r", "")
	parts, err := split(file)
	if err != nil {
		c.err = err
		return
	}
	for _, p := range parts {
		p = strings.TrimSpace(p)
		if p == "" {
			continue
		}
		if !english(p) {
			c.odd++
			continue
		}
		s := transcript.Spoken(p)
		switch {
		case s == "" || strings.ToUpper(p) == p:
			c.odd++
		case held.Has(s):
			c.dropped++
		default:
			c.sentences = append(c.sentences, s)
		}
	}
}

// english refuses what is not running English text: foreign letters, tables,
// formulas, markup.
func english(s string) bool {
	letters, others := 0, 0
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == ' ' || r == '\'' || r == '’':
			letters++
		case strings.ContainsRune(`.,;:!?"-()“”‘—`, r) || r >= '0' && r <= '9':
		default:
			others++
		}
	}
	return letters >= 10*others && 4*letters >= 3*len(s)
}

func hashOf(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// formats find the sentences in a file.
var formats = map[string]func(string) ([]string, error){
	"lines":  func(s string) ([]string, error) { return strings.Split(s, "\n"), nil },
	"book":   book,
	"wiki":   wiki,
	"turns":  turns,
	"tokens": tokens,
	"pairs":  pairs,
}

var (
	sentenceEnd = regexp.MustCompile(`([a-z0-9)]{2}[.!?]["”')\]]*|[!?]["”')\]]*)\s+(["“'‘(]*[A-Z])`)
	titleEnd    = regexp.MustCompile(`\b(Mr|Mrs|Ms|Dr|St|Capt|Col|Gen|Lt|Sgt|Rev|Hon|Prof|Messrs|Jr|Sr|Mt|No|vol|vs|cf|ca)\.\s`)
)

// sentencesOf splits a paragraph.
func sentencesOf(p string) []string {
	p = titleEnd.ReplaceAllString(p, "$1.\x00")
	p = sentenceEnd.ReplaceAllString(p, "$1\n$2")
	return strings.Split(strings.ReplaceAll(p, "\x00", " "), "\n")
}

// book is prose in paragraphs parted by empty lines, of Project Gutenberg.
func book(s string) (out []string, err error) {
	for _, p := range strings.Split(s, "\n\n") {
		p = strings.ReplaceAll(strings.Join(strings.Fields(p), " "), "_", "")
		if strings.Contains(p, "Gutenberg") || strings.Contains(p, "http") || !strings.ContainsAny(p, ".!?") {
			continue
		}
		out = append(out, sentencesOf(p)...)
	}
	return out, nil
}

// brackets hold what running text is not read with.
var brackets = regexp.MustCompile(`\([^()]*\)`)

// wiki is what wikiextractor writes: a paragraph a line, headings without a full stop.
func wiki(s string) (out []string, err error) {
	for _, p := range strings.Split(s, "\n") {
		if strings.HasPrefix(p, "<") || !strings.HasSuffix(strings.TrimRight(p, `" `), ".") {
			continue
		}
		out = append(out, sentencesOf(brackets.ReplaceAllString(p, " "))...)
	}
	return out, nil
}

// turns are dialogues of Schema-Guided Dialogue.
func turns(s string) (out []string, err error) {
	var dialogues []struct {
		Turns []struct{ Utterance string }
	}
	if err := json.Unmarshal([]byte(s), &dialogues); err != nil {
		return nil, err
	}
	for _, d := range dialogues {
		for _, t := range d.Turns {
			out = append(out, sentencesOf(t.Utterance)...)
		}
	}
	return out, nil
}

// tokens is a table of words with their punctuation, parted by bars.
func tokens(s string) (out []string, err error) {
	var b strings.Builder
	for _, line := range strings.Split(s, "\n")[1:] {
		f := strings.Split(line, "|")
		if len(f) < 5 || strings.HasPrefix(f[0], "<") {
			continue
		}
		b.WriteString(f[0] + f[4] + " ")
		if strings.ContainsAny(f[4], ".?!") {
			out = append(out, b.String())
			b.Reset()
		}
	}
	return append(out, b.String()), nil
}

// pairs are sentences with their translations after a tab.
func pairs(s string) (out []string, err error) {
	for _, line := range strings.Split(s, "\n") {
		line, _, _ = strings.Cut(line, "\t")
		out = append(out, line)
	}
	return out, nil
}
