// Package quality measures a codec on a data set.
package quality

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ReadManifest gives the files of a tab-separated table whose first line names
// its columns, of which path (relative to the table) and split are used. Split
// and source, the first folder of the path, choose rows; "" takes all.
func ReadManifest(path, split, source string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read as a table: %w", path, err)
	}
	file, part := slices.Index(head, "path"), slices.Index(head, "split")
	if file < 0 || split != "" && part < 0 {
		return nil, fmt.Errorf("%s: its first line names no columns path and split: give a tab-separated manifest", path)
	}
	var clips []string
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(row) <= max(file, part) {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("%s: line %d has %d columns, fewer than the first line", path, line, len(row))
		}
		first, _, _ := strings.Cut(row[file], "/")
		if (split == "" || row[part] == split) && (source == "" || first == source) {
			clips = append(clips, filepath.Join(filepath.Dir(path), filepath.FromSlash(row[file])))
		}
	}
	if len(clips) == 0 {
		return nil, fmt.Errorf("%s: no row has split %q and source %q: choose others with --split and --source", path, split, source)
	}
	return clips, nil
}
