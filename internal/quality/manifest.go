// Package quality measures a codec on a data set.
package quality

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sotto-audio/sotto/internal/manifest"
)

// ReadManifest gives the files of a manifest, of whose columns path (relative to
// the manifest) and split are used. Split and source, the first folder of the
// path, choose rows; "" takes all.
func ReadManifest(path, split, source string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	columns := []string{"path"}
	if split != "" {
		columns = append(columns, "split")
	}
	rows, err := manifest.Read(f, columns...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var clips []string
	for _, row := range rows {
		file := row.Fields[0]
		if file == "" {
			return nil, fmt.Errorf("%s: line %d: the path is empty", path, row.Line)
		}
		first, _, _ := strings.Cut(file, "/")
		if (split == "" || row.Fields[1] == split) && (source == "" || first == source) {
			clips = append(clips, filepath.Join(filepath.Dir(path), filepath.FromSlash(file)))
		}
	}
	if len(clips) == 0 {
		return nil, fmt.Errorf("%s: no row has split %q and source %q: choose others with --split and --source", path, split, source)
	}
	return clips, nil
}
