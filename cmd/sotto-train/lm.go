package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sotto-audio/sotto/internal/manifest"
	"github.com/sotto-audio/sotto/internal/ngram"
	"github.com/sotto-audio/sotto/internal/transcript"
)

type lmCmd struct {
	Text         []string `arg:"" optional:"" help:"Texts, one sentence a line; manifests, of whose training rows the column text is used; one ARPA file to convert; \"-\" is standard input."`
	Part         []string `sep:"none" placeholder:"W=FILE,…" help:"Texts of a mixture, and their weight in it: a model is made of each part, and one of all by linear interpolation. Instead of texts as arguments."`
	Out          string   `short:"o" required:"" placeholder:"FILE" help:"Model to write; ARPA text where the name ends in .arpa."`
	Order        int      `default:"3" help:"Length of the longest n-grams."`
	Units        string   `default:"words" enum:"words,characters" help:"What n-grams consist of: ${enum}."`
	Words        int      `placeholder:"N" help:"Keep the N most frequent units; all by default."`
	Prune        []int    `placeholder:"N,…" help:"Leave out n-grams seen N times or less, by length from 2 on, in each part; the last number holds for all longer ones."`
	PruneEntropy float64  `placeholder:"T" help:"Leave out n-grams without which the perplexity grows by less than this share, such as 1e-8."`
	Plain        bool     `help:"Count shorter n-grams as they are and not, as Kneser and Ney do, by what goes before them: better where --prune-entropy leaves little."`
	Bits         int      `placeholder:"N" help:"Store logarithms in N bits, 1 to 8, for a small file; 16 by default."`
	Exclude      []string `placeholder:"TSV" help:"Manifests: no sentence of their valid and test rows is used, nor one that shares six words in a row with such a sentence."`
	Valid        []string `placeholder:"FILE" help:"Texts, or manifests, of whose valid rows the text is used: print the perplexity on them."`
	Force        bool     `short:"f" help:"Replace an existing file."`
}

// Help is shown with --help.
func (lmCmd) Help() string {
	return "A language model for sotto transcribe --lm, smoothed by modified Kneser-Ney. English text is brought to lower-case words, numbers spelled out.\n\nExamples:\n" +
		"  sotto-train lm book.txt talks.txt -o talks.lm\n" +
		"  sotto-train lm speech/manifest.tsv --exclude speech/manifest.tsv --valid speech/manifest.tsv -o speech.lm\n" +
		"  sotto-train lm --part 0.7=news.txt,books.txt --part 0.3=mail.txt --plain --prune-entropy 1e-8 --bits 6 -o mail.lm\n" +
		"  sotto-train lm book.txt --order 8 --units characters --prune 0,0,1 -o letters.lm\n" +
		"  sotto-train lm other.arpa -o other.lm"
}

// Validate refuses what does not go together.
func (c *lmCmd) Validate() error {
	switch {
	case len(c.Text) == 0 && len(c.Part) == 0:
		return errors.New("no text: give files, or --part")
	case len(c.Text) > 0 && len(c.Part) > 0:
		return errors.New("texts are given as arguments or by --part, not both")
	case c.PruneEntropy < 0 || math.IsNaN(c.PruneEntropy):
		return errors.New("--prune-entropy must not be negative")
	}
	return nil
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
		var lines []string
		if err := eachSentence(name, "valid", func(s string) { lines = append(lines, s) }); err != nil {
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
	var parts []ngram.Part
	if len(c.Text) > 0 {
		text, err := c.read(c.Text, held)
		if err != nil {
			return nil, err
		}
		parts = append(parts, ngram.Part{Text: text, Weight: 1})
	}
	for _, p := range c.Part {
		weight, files, ok := strings.Cut(p, "=")
		w, err := strconv.ParseFloat(weight, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("--part %q: give a weight and texts, such as 0.7=news.txt,books.txt", p)
		}
		text, err := c.read(strings.Split(files, ","), held)
		if err != nil {
			return nil, err
		}
		parts = append(parts, ngram.Part{Text: text, Weight: w})
	}
	m, err := ngram.TrainMixture(parts, ngram.Options{Order: c.Order, MaxUnits: c.Words, Prune: c.Prune, PruneEntropy: c.PruneEntropy, Plain: c.Plain, Bits: c.Bits})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(append(c.Text, c.Part...), ", "), err)
	}
	return m, nil
}

// read collects the sentences of files that are not held out.
func (c *lmCmd) read(files []string, held *transcript.HeldOut) (*ngram.Corpus, error) {
	text, err := ngram.NewCorpus(c.Units)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		used, dropped := 0, 0
		err := eachSentence(name, "train", func(s string) {
			if held.Has(s) {
				dropped++
				return
			}
			used++
			text.Add(s)
		})
		if err != nil {
			return nil, err
		}
		fmt.Printf("%s: %d sentences", name, used)
		if len(c.Exclude) > 0 {
			fmt.Printf(", %d held out", dropped)
		}
		fmt.Println()
	}
	return text, nil
}

// eachSentence gives the lines of a text, or the texts of a manifest's rows of a
// split, in their spoken form.
func eachSentence(name, split string, use func(string)) error {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	each := func(line string) {
		if s := transcript.Spoken(line); s != "" {
			use(s)
		}
	}
	r := bufio.NewReaderSize(in, 1<<16)
	head, err := r.ReadString('\n')
	if columns := strings.Split(strings.TrimSpace(head), "\t"); slices.Contains(columns, "split") && slices.Contains(columns, "text") {
		rows, err := manifest.Read(io.MultiReader(strings.NewReader(head), r), "split", "text")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, row := range rows {
			if row.Fields[0] == split {
				each(row.Fields[1])
			}
		}
		return nil
	}
	for line := head; ; line, err = r.ReadString('\n') {
		each(line)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}
