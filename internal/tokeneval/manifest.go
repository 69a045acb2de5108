package tokeneval

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/manifest"
	"golang.org/x/sync/errgroup"
)

// Row is a recording of a manifest.
type Row struct {
	Path, Split, Speaker, Text string
}

// ReadManifest lists the rows of a manifest with the columns path and split, and
// where they are there speaker and text. Source is the first folder of a path; ""
// takes all.
func ReadManifest(path, source string) ([]Row, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	head, _, _ := strings.Cut(string(data), "\n")
	columns := []string{"path", "split"}
	for _, optional := range []string{"speaker", "text"} {
		if slices.Contains(strings.Split(strings.TrimRight(head, "\r"), "\t"), optional) {
			columns = append(columns, optional)
		}
	}
	lines, err := manifest.Read(strings.NewReader(string(data)), columns...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var rows []Row
	for _, l := range lines {
		var r Row
		for i, name := range columns {
			*map[string]*string{"path": &r.Path, "split": &r.Split, "speaker": &r.Speaker, "text": &r.Text}[name] = l.Fields[i]
		}
		if r.Path == "" {
			return nil, fmt.Errorf("%s: line %d: the path is empty", path, l.Line)
		}
		first, _, _ := strings.Cut(r.Path, "/")
		if source == "" || first == source {
			r.Path = filepath.Join(filepath.Dir(path), filepath.FromSlash(r.Path))
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// Encode gives the tokens of rows, so many at once; done is told how many are
// through.
func Encode(ctx context.Context, model codec.Codec, rows []Row, parallel int, done func(n int)) ([]Recording, error) {
	out := make([]Recording, len(rows))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(parallel, 1))
	through := make(chan struct{}, len(rows))
	for i, row := range rows {
		g.Go(func() error {
			pcm, err := audio.ReadMono(row.Path, model.Info().SampleRate)
			if err != nil {
				return err
			}
			t, err := model.Encode(ctx, pcm, 0)
			if err != nil {
				return fmt.Errorf("%s: %w", row.Path, err)
			}
			out[i] = Recording{Codes: t.Codes, Speaker: row.Speaker, Text: row.Text}
			through <- struct{}{}
			done(len(through))
			return nil
		})
	}
	return out, g.Wait()
}
