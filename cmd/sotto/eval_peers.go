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
	if c.Plot != "" {
		if err := drawPeers(c.Plot, rows); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(rows)
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

func drawPeers(path string, rows []peers.Row) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = peers.Plot(f, rows)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

func printPeers(w io.Writer, rows []peers.Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "CODEC\tSETTING\tKBIT/S\tESTOI\tMEL\tSI-SDR")
	if len(rows) > 0 && rows[0].PESQ != nil {
		fmt.Fprint(t, "\tPESQ")
	}
	fmt.Fprintln(t)
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%.3f\t%.3f\t%.1f dB", r.Codec, r.Setting, r.Kbps, r.ESTOI, r.Mel, r.SISDR)
		if r.PESQ != nil {
			fmt.Fprintf(t, "\t%.2f", *r.PESQ)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
