package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sotto-audio/sotto/internal/manifest"
	"github.com/sotto-audio/sotto/internal/ngram"
	"github.com/sotto-audio/sotto/internal/transcript"
)

type lmCmd struct {
	Text    []string `arg:"" help:"Texts, one sentence a line; manifests, of whose training rows the column text is used; one ARPA file to convert; \"-\" is standard input."`
	Out     string   `short:"o" required:"" placeholder:"FILE" help:"Model to write; ARPA text where the name ends in .arpa."`
	Order   int      `default:"3" help:"Length of the longest n-grams."`
	Units   string   `default:"words" enum:"words,characters" help:"What n-grams consist of: ${enum}."`
	Words   int      `placeholder:"N" help:"Keep the N most frequent units; all by default."`
	Prune   []int    `placeholder:"N,…" help:"Leave out n-grams seen N times or less, by length from 2 on; the last number holds for all longer ones."`
	Exclude []string `placeholder:"TSV" help:"Manifests: no sentence of their valid and test rows is used, nor one that shares six words in a row with such a sentence."`
	Valid   []string `placeholder:"FILE" help:"Texts, or manifests, of whose valid rows the text is used: print the perplexity on them."`
	Force   bool     `short:"f" help:"Replace an existing file."`
}

// Help is shown with --help.
func (lmCmd) Help() string {
	return "A language model for sotto transcribe --lm, smoothed by modified Kneser-Ney. English text is brought to lower-case words, numbers spelled out.\n\nExamples:\n" +
		"  sotto-train lm book.txt talks.txt -o talks.lm\n" +
		"  sotto-train lm speech/manifest.tsv --exclude speech/manifest.tsv --valid speech/manifest.tsv -o speech.lm\n" +
		"  sotto-train lm book.txt --order 8 --units characters --prune 0,0,1 -o letters.lm\n" +
		"  sotto-train lm other.arpa -o other.lm"
}

// Run trains or converts a model and prints what it is.
func (c *lmCmd) Run(ctx context.Context) error {
	if st, err := os.Stat(c.Out); err == nil && st.Mode().IsRegular() && !c.Force {
		return fmt.Errorf("%s: exists already: give --force to replace it", c.Out)
	}
	held, err := transcript.ReadHeldOut(c.Exclude...)
	if err != nil {
		return err
	}
	m, err := c.model(held)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var b bytes.Buffer
	if strings.HasSuffix(c.Out, ".arpa") {
		err = m.WriteARPA(&b)
	} else {
		_, err = b.Write(m.Bytes())
	}
	if err != nil {
		return err
	}
	tmp := c.Out + ".tmp"
	if err := os.WriteFile(tmp, b.Bytes(), 0o666); err != nil {
		return err
	}
	if err := os.Rename(tmp, c.Out); err != nil {
		return err
	}
	fmt.Printf("%s: %d units, n-grams by length %v, %.2f MB\n", c.Out, m.Vocabulary(), m.Counts(), float64(b.Len())/1e6)
	for _, name := range c.Valid {
		lines, err := readSentences(name, "valid")
		if err != nil {
			return err
		}
		e := m.Evaluate(lines)
		fmt.Printf("%s: perplexity %.1f over %d sentences of %d units, %d of them unknown\n", name, e.Perplexity, e.Sentences, e.Units, e.Unknown)
	}
	return nil
}

func (c *lmCmd) model(held *transcript.HeldOut) (*ngram.Model, error) {
	if len(c.Text) == 1 && strings.HasSuffix(c.Text[0], ".arpa") {
		return ngram.Load(c.Text[0])
	}
	var all []string
	for _, name := range c.Text {
		lines, err := readSentences(name, "train")
		if err != nil {
			return nil, err
		}
		dropped := 0
		for _, s := range lines {
			if held.Has(s) {
				dropped++
				continue
			}
			all = append(all, s)
		}
		fmt.Printf("%s: %d sentences", name, len(lines)-dropped)
		if len(c.Exclude) > 0 {
			fmt.Printf(", %d held out", dropped)
		}
		fmt.Println()
	}
	m, err := ngram.Train(all, ngram.Options{Order: c.Order, Units: c.Units, MaxUnits: c.Words, Prune: c.Prune})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(c.Text, ", "), err)
	}
	return m, nil
}

// readSentences gives the lines of a text, or the texts of a manifest's rows of
// a split, in their spoken form.
func readSentences(name, split string) (out []string, err error) {
	var b []byte
	if name == "-" {
		b, err = io.ReadAll(os.Stdin)
	} else {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(b), "\n")
	if rows, err := manifest.Read(bytes.NewReader(b), "split", "text"); err == nil {
		lines = lines[:0]
		for _, r := range rows {
			if r.Fields[0] == split {
				lines = append(lines, r.Fields[1])
			}
		}
	}
	for _, line := range lines {
		if s := transcript.Spoken(line); s != "" {
			out = append(out, s)
		}
	}
	return out, nil
}
