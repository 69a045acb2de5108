package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/sotto-audio/sotto/internal/manifest"
	"github.com/sotto-audio/sotto/internal/transcript"
)

// check fails where a text, or a training row of a manifest, has a held-out
// sentence.
func check(files []string, h *transcript.HeldOut) error {
	bad := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		lines := strings.Split(string(b), "\n")
		if rows, err := manifest.Read(bytes.NewReader(b), "split", "text"); err == nil {
			lines = lines[:0]
			for _, r := range rows {
				if r.Fields[0] == "train" {
					lines = append(lines, r.Fields[1])
				}
			}
		}
		n := 0
		for _, line := range lines {
			text := transcript.Spoken(line)
			if text == "" {
				continue
			}
			n++
			if h.Has(text) {
				bad++
				fmt.Printf("%s: %s\n", name, text)
			}
		}
		fmt.Printf("%s: %d sentences looked at\n", name, n)
	}
	if bad > 0 {
		return fmt.Errorf("%d held-out sentences found", bad)
	}
	return nil
}
