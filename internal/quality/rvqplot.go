package quality

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// PlotHistogram draws how often the codes of each codebook appear, the most frequent
// first, as a PNG. Even use would be a straight line at 1.
func PlotHistogram(w io.Writer, r *QuantizerReport) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("codes of %s, %d frames", r.Model, r.Frames)
	p.X.Label.Text, p.Y.Label.Text = "entries, the most frequent first", "times as often as with even use"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	for i, counts := range r.Usage.Counts {
		sorted := slices.Clone(counts)
		slices.SortFunc(sorted, func(a, b int64) int { return int(b - a) })
		var line plotter.XYs
		for k, n := range sorted {
			if n == 0 {
				break
			}
			line = append(line, plotter.XY{X: float64(k + 1), Y: float64(n) * float64(len(counts)) / float64(r.Frames)})
		}
		l, err := plotter.NewLine(line)
		if err != nil {
			return fmt.Errorf("plot: codebook %d: %w", i, err)
		}
		l.Color, l.Dashes = plotutil.Color(i), plotutil.Dashes(i/7)
		p.Add(l)
		p.Legend.Add(fmt.Sprintf("codebook %d of %d", i, len(counts)), l)
	}
	return writePNG(w, p, 8*vg.Inch, 5*vg.Inch)
}

// PlotMap draws the entries of a codebook, [size, dim], on their two principal
// components as a PNG. Discs are larger where codes are frequent; grey ones never
// appeared.
func PlotMap(w io.Writer, r *QuantizerReport, codebook int, entries []float32, dim int) error {
	size := len(entries) / dim
	if size < 3 || dim < 2 {
		return errors.New("plot: a map needs at least three entries of two values")
	}
	x := mat.NewDense(size, dim, nil)
	for i, v := range entries {
		x.Set(i/dim, i%dim, float64(v))
	}
	var pc stat.PC
	if !pc.PrincipalComponents(x, nil) {
		return errors.New("plot: the entries have no principal components")
	}
	var vectors, at mat.Dense
	pc.VectorsTo(&vectors)
	at.Mul(x, vectors.Slice(0, dim, 0, 2))
	variances := pc.VarsTo(nil)
	var total float64
	for _, v := range variances {
		total += v
	}
	counts := r.Usage.Counts[codebook]
	points := make(plotter.XYs, size)
	for i := range points {
		points[i] = plotter.XY{X: at.At(i, 0), Y: at.At(i, 1)}
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	most := slices.Max(counts)
	colors := palette.Heat(64, 1).Colors()
	dots.GlyphStyleFunc = func(i int) draw.GlyphStyle {
		s := draw.GlyphStyle{Shape: draw.CircleGlyph{}, Radius: vg.Points(1.5), Color: color.Gray{190}}
		if n := counts[i]; n > 0 {
			share := float64(n) / float64(most)
			s.Radius = vg.Points(1.5 + 5*math.Sqrt(share))
			s.Color = colors[int(math.Sqrt(share)*40)]
		}
		return s
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("codebook %d of %s: %d entries, %.1f %% used", codebook, r.Model, size, 100*r.Usage.Used(codebook))
	p.X.Label.Text = fmt.Sprintf("first principal component (%.0f %% of the variance)", 100*variances[0]/total)
	p.Y.Label.Text = fmt.Sprintf("second (%.0f %%)", 100*variances[1]/total)
	p.Add(plotter.NewGrid(), dots)
	return writePNG(w, p, 7*vg.Inch, 7*vg.Inch)
}

func writePNG(w io.Writer, p *plot.Plot, width, height vg.Length) error {
	canvas := vgimg.PngCanvas{Canvas: vgimg.New(width, height)}
	p.Draw(draw.New(canvas))
	_, err := canvas.WriteTo(w)
	return err
}
