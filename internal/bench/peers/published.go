package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	_ "github.com/sotto-audio/sotto/codec/all" // families that Load knows
)

// families lists the published codecs that published.py knows, and where their
// make.py leaves a checkpoint of full size.
var families = []struct{ name, checkpoint string }{
	{"encodec", "encodec/small.th"},
	{"hificodec", "hificodec/16k-320d.pth"},
	{"wavtokenizer", "wavtokenizer/wavtokenizer-40"},
	{"dac", "dac/dac-16000.pth"},
	{"snac", "snac/snac-24"},
	{"mimi", "mimi/mimi"},
	{"speechtokenizer", "speechtokenizer/speechtokenizer"},
	{"bigcodec", "bigcodec/bigcodec.pt"},
}

// families measures published codecs with numbers of threads.
func (o options) families(ctx context.Context, r *report, counts []int) error {
	originals := map[string]string{}
	for _, pair := range list(o.originals) {
		name, folder, _ := strings.Cut(pair, "=")
		originals[name] = folder
	}
	only := list(o.only)
	for _, f := range families {
		if len(only) > 0 && !slices.Contains(only, f.name) {
			continue
		}
		path := filepath.Join(o.published, f.checkpoint)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			r.Missing = append(r.Missing, fmt.Sprintf("%s: no %s", f.name, path))
			continue
		}
		for _, threads := range counts {
			runtime.GOMAXPROCS(threads) // what published codecs go by
			model, err := codec.Load(path)
			if err != nil {
				return err
			}
			setup := map[string]any{"family": f.name, "checkpoint": path, "originals": originals, "runtimes": list(o.runtimes)}
			if err := o.measure(ctx, r, model, threads, "published.py", setup); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	return nil
}

// list splits at commas.
func list(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' })
}
