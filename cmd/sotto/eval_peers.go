package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/lyra"
	"github.com/sotto-audio/sotto/internal/quality/peers"
)

// compare measures the model beside other codecs.
func (c *evalCodecCmd) compare(s *session, model codec.Codec, clips []string) error {
	systems, err := peers.Of("sotto", model)
	if err != nil {
		return err
	}
	found, missing := peers.Programs()
	for _, name := range missing {
		fmt.Fprintf(s.stderr, "%s is not on the PATH: its codec is left out\n", name)
	}
	systems = append(systems, found...)
	more, err := c.lyraSystems(s)
	if err != nil {
		return err
	}
	systems = append(systems, more...)

	var plot *output
	if c.Plot != "" {
		if plot, err = create(s.ctx, c.Plot, c.Force); err != nil {
			return err
		}
		defer plot.discard()
	}
	bars := newProgress(s.stderr)
	report, end := bars.task("clips", int64(len(clips)))
	rows, err := peers.Compare(s.ctx, systems, clips, peers.Options{
		MaxSeconds: c.MaxSeconds, Parallel: runtime.GOMAXPROCS(0), Python: c.PESQ, Done: report,
	})
	end()
	bars.wait()
	if err != nil {
		return err
	}
	if plot != nil {
		if err := peers.Plot(plot, rows); err != nil {
			return err
		}
		if err := plot.commit(); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(struct {
			Clips   int         `json:"clips"`
			Systems []peers.Row `json:"systems"`
			Missing []string    `json:"missing,omitempty"` // programs
		}{len(clips), rows, missing})
	}
	return printPeers(s.stdout, rows)
}

// lyraSystems are those of Lyra where its coefficients are.
func (c *evalCodecCmd) lyraSystems(s *session) ([]peers.System, error) {
	folder := c.Lyra
	if folder == "" {
		if root := os.Getenv("SOTTO_DATA"); root != "" {
			folder = filepath.Join(root, "peers", "lyra_v2")
		}
		if _, err := os.Stat(folder); folder == "" || err != nil {
			fmt.Fprintln(s.stderr, "no coefficients of Lyra: it is left out (--lyra names their folder)")
			return nil, nil
		}
	}
	model, err := lyra.Load(folder)
	if err != nil {
		return nil, err
	}
	return peers.Of("Lyra v2", model)
}

func printPeers(w io.Writer, rows []peers.Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "CODEC\tSETTING\tKBIT/S\tESTOI\tMEL\tMEL 8K\tSI-SDR")
	if len(rows) > 0 && rows[0].PESQ != nil {
		fmt.Fprint(t, "\tPESQ")
	}
	fmt.Fprintln(t, "\tUSED")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%.3f\t%.3f\t%.3f\t%.1f dB", r.Codec, r.Setting, r.Kbps, r.ESTOI, r.Mel, r.Mel8, r.SISDR)
		if r.PESQ != nil {
			fmt.Fprintf(t, "\t%.2f", *r.PESQ)
		}
		if fmt.Fprint(t, "\t"); r.Used != nil {
			fmt.Fprintf(t, "%.1f %%", 100**r.Used)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
