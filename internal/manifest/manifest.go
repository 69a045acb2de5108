// Package manifest reads lists of recordings: tables of tab-separated values
// whose first line names the columns.
package manifest

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxLine bounds a line, in bytes.
const maxLine = 1 << 20

// Row holds the columns that were asked for, in that order.
type Row struct {
	Line   int // in the file, from 1
	Fields []string
}

// Read gives the named columns of all rows; others are ignored, and so are empty
// lines. Fields hold no tabs and no line ends; a quotation mark is text like any
// other, since transcripts begin with one. A row that ends early has "" in its
// last columns.
func Read(r io.Reader, columns ...string) ([]Row, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var rows []Row
	var at []int
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), "\t")
		if n == 1 {
			for _, name := range columns {
				i := slices.Index(fields, name)
				if i < 0 {
					return nil, fmt.Errorf("its first line names no column %q: give a tab-separated manifest", name)
				}
				at = append(at, i)
			}
			continue
		}
		if lines.Text() == "" {
			continue
		}
		row := Row{n, make([]string, len(at))}
		for k, i := range at {
			if i < len(fields) {
				row.Fields[k] = fields[i]
			}
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("it cannot be read as a table: %w", err)
	}
	if at == nil && len(columns) > 0 {
		return nil, fmt.Errorf("it is empty: give a tab-separated manifest")
	}
	return rows, nil
}
