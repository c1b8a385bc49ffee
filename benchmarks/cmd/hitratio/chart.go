package main

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	chartWidth  = 18 * vg.Centimeter
	chartHeight = 10 * vg.Centimeter
	legendWidth = 4 * vg.Centimeter
	sideSpace   = 1.15 // between the outer sizes and the frame, as a factor
)

// drawAll draws a chart for each stream, as SVG and PNG.
func (rs *results) drawAll(directory string) error {
	for first := 0; first < len(rs.rows); {
		end := first
		for end < len(rs.rows) && rs.rows[end].stream == rs.rows[first].stream {
			end++
		}
		p, legend, err := rs.chart(rs.rows[first:end])
		if err != nil {
			return err
		}
		for _, format := range []string{"svg", "png"} {
			path := filepath.Join(directory, fileName(rs.rows[first].stream)+"."+format)
			if err := save(p, legend, path, format); err != nil {
				return err
			}
		}
		first = end
	}
	return nil
}

// fileName turns the name of a stream into that of a file.
func fileName(stream string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`:=,/\ `, r) {
			return '_'
		}
		return r
	}, stream)
}

// chart plots hit ratio over cache size, a line for each cache. The legend is
// apart, to be drawn beside it.
func (rs *results) chart(rows []row) (*plot.Plot, plot.Legend, error) {
	p, legend := plot.New(), plot.NewLegend()
	p.Title.Text = rows[0].stream
	p.X.Label.Text = fmt.Sprintf("cache size, %% of %d distinct keys", rows[0].distinct)
	p.Y.Label.Text = "hit ratio, %"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = sizeTicks(rows)
	p.Add(plotter.NewGrid())
	for i, c := range rs.caches {
		points := make(plotter.XYs, len(rows))
		for j, r := range rows {
			points[j] = plotter.XY{X: r.percent(), Y: r.ratio(i)}
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, legend, fmt.Errorf("%s: %w", c.name, err)
		}
		line.Color, marks.Color = lineColor(i), lineColor(i)
		line.Width = vg.Points(1)
		if !c.real {
			line.Dashes = []vg.Length{vg.Points(3), vg.Points(2)}
		}
		if c.name == "dualcache" {
			line.Width = vg.Points(2)
		}
		marks.Shape = plotutil.Shape(i)
		marks.Radius = vg.Points(2)
		p.Add(line, marks)
		legend.Add(c.name, line, marks)
	}
	p.X.Min /= sideSpace
	p.X.Max *= sideSpace
	p.Y.Min = 0
	p.Y.Max = max(p.Y.Max, 1)
	legend.Top, legend.Left, legend.XOffs = true, true, vg.Points(8)
	return p, legend, nil
}

// palette is that of Okabe and Ito, which the colour-blind can tell apart, and
// two greys.
var palette = []color.RGBA{
	{0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x72, 0xb2, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0xb8, 0xa9, 0x00, 0xff}, {0x60, 0x60, 0x60, 0xff},
	{0xa0, 0x30, 0x20, 0xff}, {0x00, 0x00, 0x00, 0xff},
}

func lineColor(i int) color.Color { return palette[i%len(palette)] }

// sizeTicks labels the sizes that were measured.
func sizeTicks(rows []row) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, r := range rows {
		ticks = append(ticks, plot.Tick{Value: r.percent(), Label: fmt.Sprintf("%.3g%%", r.percent())})
	}
	return ticks
}

// save draws the plot and, to its right, the legend.
func save(p *plot.Plot, legend plot.Legend, path, format string) error {
	canvas, err := draw.NewFormattedCanvas(chartWidth, chartHeight, format)
	if err != nil {
		return err
	}
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	p.Draw(draw.Crop(whole, 0, -legendWidth, 0, 0))
	legend.Draw(draw.Crop(whole, chartWidth-legendWidth, 0, 0, -vg.Centimeter))
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
