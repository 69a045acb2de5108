package train

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Plot draws the losses and validation scores of a log, over the audio seen, as
// a PNG file.
func Plot(log, out string) error {
	records, err := ReadLog(log)
	if err != nil {
		return fmt.Errorf("train: plot: %w", err)
	}
	losses, scores := map[string]plotter.XYs{}, map[string]plotter.XYs{}
	title := "validation ESTOI"
	for _, r := range records {
		hours := r.AudioSeconds / 3600
		for name, v := range r.Losses {
			if strings.Contains(name, "@") {
				continue // of one level: too many lines
			}
			losses[name] = append(losses[name], plotter.XY{X: hours, Y: v})
		}
		for _, s := range r.Valid {
			name := "unquantized"
			if s.Kbps > 0 {
				name = fmt.Sprintf("%g kbps", s.Kbps)
			}
			scores[name] = append(scores[name], plotter.XY{X: hours, Y: s.ESTOI})
		}
		for source, e := range r.Rebuilt {
			title = "validation, distance of rebuilt latents"
			scores[source] = append(scores[source], plotter.XY{X: hours, Y: e.Rebuilt})
		}
		for _, s := range r.Recognised {
			title = "validation word errors, greedy"
			name := s.Source
			switch {
			case s.Levels > 0:
				name += fmt.Sprintf(", %d levels of codes", s.Levels)
			case s.Chunk == 0:
				name += ", offline"
			}
			scores[name] = append(scores[name], plotter.XY{X: hours, Y: s.WER})
		}
	}
	if len(losses) == 0 {
		return fmt.Errorf("train: plot: %s holds no losses yet", log)
	}
	top, err := chart("training loss", losses)
	if err != nil {
		return err
	}
	bottom, err := chart(title, scores)
	if err != nil {
		return err
	}
	canvas := vgimg.PngCanvas{Canvas: vgimg.New(9*vg.Inch, 9*vg.Inch)}
	both := draw.New(canvas)
	middle := (both.Min.Y + both.Max.Y) / 2
	top.Draw(draw.Crop(both, 0, 0, middle-both.Min.Y, 0))
	bottom.Draw(draw.Crop(both, 0, 0, 0, middle-both.Max.Y))
	f, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("train: plot: %w", err)
	}
	_, err = canvas.WriteTo(f)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("train: plot: %w", err)
	}
	return nil
}

func chart(title string, lines map[string]plotter.XYs) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = title, "hours of audio"
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	var names []string
	for name := range lines {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		l, err := plotter.NewLine(lines[name])
		if err != nil {
			return nil, fmt.Errorf("train: plot: %s: %w", name, err)
		}
		l.Color = plotutil.Color(i)
		l.Dashes = plotutil.Dashes(i / 7)
		p.Add(l)
		p.Legend.Add(name, l)
	}
	return p, nil
}
