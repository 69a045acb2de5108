package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/transcode"
	"github.com/sotto-audio/sotto/tokenizer"
)

type detokenizeCmd struct {
	In  string `arg:"" help:"File of a data set (.npy .npz .parquet .jsonl .tar .txt .scp), or its folder."`
	Out string `short:"o" required:"" placeholder:"PATH" help:"WAV or FLAC file of one utterance, \"-\" for WAV on standard output, or a folder for all of them."`
	decoderFlag
	deviceFlag
	ID         string  `name:"id" placeholder:"NAME" help:"Only this utterance."`
	Vocabulary string  `placeholder:"FILE" help:"vocabulary.json of the data set; the one beside IN by default."`
	Bitrate    float64 `short:"b" placeholder:"KBPS" help:"Where there is no vocabulary: the bitrate that was tokenized at."`
	layoutFlags
	Bits    string `default:"16" enum:"16,24,32f" help:"Bits of a sample: ${enum} (32f is floating point, WAV only)."`
	Threads int    `short:"t" placeholder:"N" help:"Processor cores to use; all by default."`
	Force   bool   `short:"f" help:"Replace existing files."`
}

// Help is shown by --help.
func (detokenizeCmd) Help() string {
	return `Gives the sound that sotto decode gives for the same tokens: where the data set knows them, as many samples as went in, at their rate.

Examples:
  sotto detokenize tokens/ --out wav/
  sotto detokenize tokens/ --id speaker1/0001 --out 0001.wav
  sotto detokenize speech.npy --out speech.wav
  sotto detokenize generated.txt --layout flat --bitrate 0.5 --out wav/`
}

// Validate refuses arguments that do not go together.
func (c *detokenizeCmd) Validate() error {
	if c.Bits == "32f" && isFLAC(c.Out) {
		return errors.New("--bits 32f: FLAC holds integers only: give 16 or 24, or a .wav name")
	}
	if c.Threads < 0 {
		return errors.New("--threads must not be negative")
	}
	return nil
}

// single reports whether PATH is a file.
func (c *detokenizeCmd) single() bool {
	ext := strings.ToLower(filepath.Ext(c.Out))
	return c.Out == "-" || ext == ".wav" || ext == ".flac"
}

// Run is called by kong.
func (c *detokenizeCmd) Run(s *session) error {
	useThreads(c.Threads)
	if _, err := os.Stat(c.In); errors.Is(err, fs.ErrNotExist) {
		return missing(c.In)
	}
	model, err := c.load()
	if err == nil {
		model, err = c.codec(s, model)
	}
	if err != nil {
		return err
	}
	v, err := c.vocabularyOf(model.Info())
	if err != nil {
		return err
	}
	if err := v.CheckModel(model.Info()); err != nil {
		return fmt.Errorf("%s: %w", c.In, err)
	}
	r, err := tokenizer.Open(c.In, v)
	if err != nil {
		return err
	}
	defer r.Close()
	n := 0
	for {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		u, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if c.ID != "" && u.ID != c.ID {
			continue
		}
		out := c.Out
		if n++; c.single() && n > 1 {
			return fmt.Errorf("%s: holds more than one utterance: name a folder with --out, or one of them with --id", c.In)
		}
		if !c.single() {
			out = filepath.Join(c.Out, filepath.FromSlash(tokenizer.FileName(u.ID))+".wav")
			if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
				return fmt.Errorf("%s: cannot be made: %w", filepath.Dir(out), errors.Unwrap(err))
			}
		}
		if err := c.decode(s, model, v, u, out); err != nil {
			return fmt.Errorf("%s: utterance %s: %w", c.In, u.ID, err)
		}
		if c.ID != "" {
			break
		}
	}
	switch {
	case n == 0 && c.ID != "":
		return fmt.Errorf("%s: holds no utterance %s: check the id", c.In, c.ID)
	case n == 0:
		return fmt.Errorf("%s: holds no utterances", c.In)
	case !c.single():
		fmt.Fprintf(s.stdout, "%s: %d files\n", c.Out, n)
	}
	return nil
}

// vocabularyOf finds the vocabulary of IN, or makes one by the flags.
func (c *detokenizeCmd) vocabularyOf(model codec.Info) (*tokenizer.Vocabulary, error) {
	if c.Vocabulary != "" {
		f, err := os.Open(c.Vocabulary)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, missing(c.Vocabulary)
		} else if err != nil {
			return nil, err
		}
		defer f.Close()
		v, err := tokenizer.ReadVocabulary(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Vocabulary, err)
		}
		return v, nil
	}
	v, err := tokenizer.FindVocabulary(c.In)
	if v != nil || err != nil {
		return v, err
	}
	books, err := transcode.Codebooks(model, c.Bitrate)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--bitrate %w", err)}
	}
	return c.vocabulary(model, books, tokenizer.FormatOf(c.In))
}

// decode writes the sound of an utterance.
func (c *detokenizeCmd) decode(s *session, model codec.Codec, v *tokenizer.Vocabulary, u *tokenizer.Utterance, out string) error {
	tokens, err := v.Container(u, model.Info())
	if err != nil {
		return err
	}
	src, err := transcode.NewDecoder(model, tokens)
	if err != nil {
		return err
	}
	_, err = writeSound(s, src, out, c.Bits, c.Force, func(int64) {})
	return err
}
