package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/internal/train"
)

// corpusFlags choose recordings.
type corpusFlags struct {
	Data       []string `required:"" placeholder:"MANIFEST" help:"Manifests of recordings (tab-separated: path, seconds, split, speaker). Repeatable."`
	Valid      string   `default:"librispeech" help:"Validation rows whose path contains this."`
	ValidClips int      `default:"10" help:"Clips of a validation."`
	Balance    float64  `default:"0.5" help:"0 draws clips by length, 1 speakers evenly."`
}

func (c *corpusFlags) load(rate int) (*train.Corpus, []train.ValidClip, error) {
	var trained, valid []train.Row
	for _, path := range c.Data {
		rows, err := train.ReadManifest(path)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range rows {
			switch r.Split {
			case "train":
				trained = append(trained, r)
			case "valid":
				if strings.Contains(filepath.ToSlash(r.Path), c.Valid) {
					valid = append(valid, r)
				}
			}
		}
	}
	if err := train.Unseen(trained, valid); err != nil {
		return nil, nil, err
	}
	begin := time.Now()
	corpus, err := train.LoadCorpus(trained, rate, c.Balance)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(os.Stderr, "%d clips, %.2f hours, read in %s\n", len(corpus.Clips), corpus.Seconds()/3600, time.Since(begin).Round(time.Second))
	clips, err := train.LoadValid(valid, rate, c.ValidClips, 6)
	return corpus, clips, err
}
