package peers

import (
	"fmt"
	"io"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Plot draws ESTOI, mel distance and, where it was measured, PESQ over the bitrate
// as a PNG, one line a codec.
func Plot(w io.Writer, rows []Row) error {
	panels := []struct {
		title string
		value func(Row) float64
	}{
		{"ESTOI (higher is better)", func(r Row) float64 { return r.ESTOI }},
		{"mel distance (lower is better)", func(r Row) float64 { return r.Mel }},
	}
	if len(rows) > 0 && rows[0].PESQ != nil {
		panels = append(panels, struct {
			title string
			value func(Row) float64
		}{"wide-band PESQ (higher is better)", func(r Row) float64 { return *r.PESQ }})
	}
	width := 4.2 * vg.Inch
	canvas := vgimg.PngCanvas{Canvas: vgimg.New(vg.Length(len(panels))*width, 3.8*vg.Inch)}
	all := draw.New(canvas)
	for i, panel := range panels {
		p, err := curves(rows, panel.title, panel.value, i == 0)
		if err != nil {
			return fmt.Errorf("plot: %w", err)
		}
		left := vg.Length(i) * width
		p.Draw(draw.Crop(all, left, left+width-all.Max.X, 0, 0))
	}
	_, err := canvas.WriteTo(w)
	return err
}

func curves(rows []Row, title string, value func(Row) float64, legend bool) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = title, "kbit/s"
	p.X.Min = 0
	p.Add(plotter.NewGrid())
	var names []string
	points := map[string]plotter.XYs{}
	for _, r := range rows {
		if points[r.Codec] == nil {
			names = append(names, r.Codec)
		}
		points[r.Codec] = append(points[r.Codec], plotter.XY{X: r.Kbps, Y: value(r)})
	}
	for i, name := range names {
		slices.SortFunc(points[name], func(a, b plotter.XY) int { return int(1e6 * (a.X - b.X)) })
		line, dots, err := plotter.NewLinePoints(points[name])
		if err != nil {
			return nil, err
		}
		line.Color, dots.Color = plotutil.Color(i), plotutil.Color(i)
		if line.Width = vg.Points(1); i == 0 {
			line.Width = vg.Points(2.5)
		}
		dots.Shape, dots.Radius = plotutil.Shape(i), vg.Points(3)
		p.Add(line, dots)
		if legend {
			p.Legend.Add(name, line, dots)
		}
	}
	return p, nil
}
