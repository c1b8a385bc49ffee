// Package chart draws the figures of the measurements, as SVG and PNG.
//
// A figure is a grid of panels with a title. A panel has lines, explained by a
// legend beside the grid, or bars with the names on them. An implementation has
// one colour in all charts (palette.go). There is no background, and all colours
// are of middling lightness, so that a figure can be read on a light page and
// on a dark one.
package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A Figure is one chart file.
type Figure struct {
	Name    string // Of the files, without the ending.
	Title   string
	Columns int // Panels side by side, 0 for one.
	Panels  []Panel
}

// A Panel has lines or bars.
type Panel struct {
	Title, X, Y string
	LogX, LogY  bool
	FromZero    bool // The vertical axis begins at zero.
	Ticks       []Tick
	Lines       []Line
	Bars        []Bar
}

// A Tick labels a place of the horizontal axis.
type Tick struct {
	At    float64
	Label string
}

// A Line is one implementation over the horizontal axis.
type Line struct {
	Name   string
	Points []Point
}

// A Point is one measurement.
type Point struct{ X, Y float64 }

// A Bar is one implementation, with a label for its value and, unless both are
// zero, the range in which half of the measurements lay.
type Bar struct {
	Name      string
	Value     float64
	Low, High float64
	Label     string
}

const (
	width       = 20 * vg.Centimeter
	panelHeight = 7 * vg.Centimeter
	wideHeight  = 10 * vg.Centimeter // Of a panel with the whole width.
	barHeight   = 0.42 * vg.Centimeter
	titleHeight = 0.9 * vg.Centimeter
	legendWidth = 2.9 * vg.Centimeter
	gap         = 0.4 * vg.Centimeter
	dpi         = 144
	sideSpace   = 1.12 // Between the outer points and the frame, as a factor.
)

// Save writes the figure into a directory, as SVG and PNG.
func (f Figure) Save(directory string) error {
	svg := vgsvg.New(width, f.height())
	png := vgimg.NewWith(vgimg.UseWH(width, f.height()), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.Transparent))
	for _, canvas := range []vg.CanvasSizer{svg, png} {
		if err := f.draw(draw.New(canvas)); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, f.Name+".svg"), withFallbacks(out.Bytes()), 0o666); err != nil {
		return err
	}
	out.Reset()
	if _, err := (vgimg.PngCanvas{Canvas: png}).WriteTo(&out); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, f.Name+".png"), out.Bytes(), 0o666)
}

// withFallbacks names fonts of the same metrics for readers that lack the first.
func withFallbacks(svg []byte) []byte {
	return bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
}

// height returns the height of the whole figure.
func (f Figure) height() vg.Length {
	h := titleHeight
	for _, row := range f.rows() {
		h += f.rowHeight(row) + gap
	}
	return h
}

// rows returns the panels by row.
func (f Figure) rows() [][]Panel {
	columns := max(f.Columns, 1)
	var rows [][]Panel
	for at := 0; at < len(f.Panels); at += columns {
		rows = append(rows, f.Panels[at:min(at+columns, len(f.Panels))])
	}
	return rows
}

// rowHeight is larger for a panel that has the whole width.
func (f Figure) rowHeight(row []Panel) vg.Length {
	most := 0
	for _, p := range row {
		switch {
		case len(p.Bars) > 0:
		case f.Columns <= 1:
			return wideHeight
		default:
			return panelHeight
		}
		most = max(most, len(p.Bars))
	}
	return vg.Length(most)*barHeight + 1.2*vg.Centimeter
}

// draw draws title, panels and legend.
func (f Figure) draw(c draw.Canvas) error {
	c.FillText(label(13, draw.XLeft, draw.YCenter), vg.Point{X: gap, Y: c.Max.Y - titleHeight/2}, f.Title)
	inner := width - 2*gap
	names := f.lineNames()
	if len(names) > 0 {
		inner -= legendWidth
		area := draw.Crop(c, gap+inner, 0, 0, -titleHeight-gap)
		drawLegend(area, names)
	}
	columns := vg.Length(max(f.Columns, 1))
	top := c.Max.Y - titleHeight
	for _, row := range f.rows() {
		height := f.rowHeight(row)
		plots := make([]*plot.Plot, len(row))
		for i, p := range row {
			var err error
			if plots[i], err = p.plot(); err != nil {
				return fmt.Errorf("%s: %w", p.Title, err)
			}
		}
		area := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: gap, Y: top - height},
			Max: vg.Point{X: gap + inner/columns*vg.Length(len(row)), Y: top},
		}}
		tiles := draw.Tiles{Rows: 1, Cols: len(row), PadX: gap}
		for i, canvas := range plot.Align([][]*plot.Plot{plots}, tiles, area)[0] {
			plots[i].Draw(canvas)
		}
		top -= height + gap
	}
	return nil
}

// lineNames returns who has lines, in the order of the palette.
func (f Figure) lineNames() []string {
	var names []string
	seen := make(map[string]bool)
	for _, p := range f.Panels {
		for _, l := range p.Lines {
			if !seen[l.Name] {
				seen[l.Name] = true
				names = append(names, l.Name)
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

// label returns a style of text.
func label(size float64, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{
		Color:   ink,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)},
		XAlign:  x,
		YAlign:  y,
		Handler: plot.DefaultTextHandler,
	}
}

// drawLegend names lines from the top down.
func drawLegend(c draw.Canvas, names []string) {
	legend := plot.NewLegend()
	legend.TextStyle = label(9, draw.XLeft, draw.YBottom)
	legend.Top, legend.Left, legend.XOffs = true, true, vg.Points(6)
	legend.Padding = vg.Points(2)
	for _, name := range names {
		line, marks := styled(name, nil)
		legend.Add(name, line, marks)
	}
	legend.Draw(c)
}

// styled returns the line and the marks of an implementation.
func styled(name string, points plotter.XYs) (*plotter.Line, *plotter.Scatter) {
	s := styleOf(name)
	line := &plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: s.color, Width: s.width, Dashes: s.dashes}}
	marks := &plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{Color: s.color, Radius: vg.Points(2.2), Shape: s.shape}}
	return line, marks
}

// plot makes the plot of a panel.
func (p Panel) plot() (*plot.Plot, error) {
	plt := plot.New()
	plt.BackgroundColor = color.Transparent
	plt.Title.Text = p.Title
	plt.Title.TextStyle = label(10, draw.XCenter, draw.YTop)
	for _, axis := range []*plot.Axis{&plt.X, &plt.Y} {
		axis.Color, axis.Tick.Color = ink, ink
		turned := axis.Label.TextStyle.Rotation
		axis.Label.TextStyle = label(9, draw.XCenter, axis.Label.TextStyle.YAlign)
		axis.Label.TextStyle.Rotation = turned
		axis.Tick.Label = label(8, axis.Tick.Label.XAlign, axis.Tick.Label.YAlign)
	}
	if len(p.Bars) > 0 {
		return plt, p.addBars(plt)
	}
	return plt, p.addLines(plt)
}

// addLines adds the lines of a panel, ours last and so on top.
func (p Panel) addLines(plt *plot.Plot) error {
	if len(p.Lines) == 0 {
		plt.HideAxes()
		return nil
	}
	plt.X.Label.Text, plt.Y.Label.Text = p.X, p.Y
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faint, faint
	plt.Add(grid)
	for _, ours := range []bool{false, true} {
		for _, l := range p.Lines {
			if (l.Name == Ours) != ours {
				continue
			}
			points := make(plotter.XYs, len(l.Points))
			for i, at := range l.Points {
				if (p.LogX && at.X <= 0) || (p.LogY && at.Y <= 0) {
					return fmt.Errorf("%s: (%g, %g) on a logarithmic axis", l.Name, at.X, at.Y)
				}
				points[i] = plotter.XY{X: at.X, Y: at.Y}
			}
			line, marks := styled(l.Name, points)
			plt.Add(line, marks)
		}
	}
	plt.X.Tick.Marker, plt.Y.Tick.Marker = plain{}, plain{}
	p.scale(plt)
	return nil
}

// scale sets the axes for lines.
func (p Panel) scale(plt *plot.Plot) {
	if p.LogX {
		plt.X.Scale = plot.LogScale{}
		plt.X.Min /= sideSpace
		plt.X.Max *= sideSpace
	}
	if p.LogY {
		plt.Y.Scale = plot.LogScale{}
		plt.Y.Min /= sideSpace
		plt.Y.Max *= sideSpace
		plt.Y.Tick.Marker = decades{}
	}
	if p.FromZero {
		plt.Y.Min = 0
		plt.Y.Max = max(plt.Y.Max, 1e-9) * 1.05
	}
	if plt.Y.Max <= plt.Y.Min {
		plt.Y.Max = plt.Y.Min + 1
	}
	if p.Ticks != nil {
		var ticks plot.ConstantTicks
		for _, t := range p.Ticks {
			ticks = append(ticks, plot.Tick{Value: t.At, Label: t.Label})
		}
		plt.X.Tick.Marker = ticks
	}
}

// plain ticks have labels without trailing zeros.
type plain struct{}

// Ticks implements plot.Ticker.
func (plain) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = strconv.FormatFloat(math.Round(ticks[i].Value*1e9)/1e9, 'f', -1, 64)
		}
	}
	return ticks
}

// decades labels powers of ten, and, where there are few in range, twice and
// five times those.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	fine := high/low < 100
	for exponent := -12; math.Pow10(exponent) <= high; exponent++ {
		for n := 1.0; n < 10; n++ {
			at := n * math.Pow10(exponent)
			if at < low*(1-1e-9) || at > high*(1+1e-9) {
				continue
			}
			tick := plot.Tick{Value: at}
			if n == 1 || (fine && (n == 2 || n == 5)) {
				tick.Label = short(at)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// short writes a number with a letter for thousands and more.
func short(f float64) string {
	letter := ""
	for _, l := range []string{"k", "M", "G", "T"} {
		if f < 1000 {
			break
		}
		f, letter = f/1000, l
	}
	return strconv.FormatFloat(math.Round(f*1e9)/1e9, 'f', -1, 64) + letter
}

// addBars adds the bars of a panel, the first on top.
func (p Panel) addBars(plt *plot.Plot) error {
	most := 0.0
	var ticks plot.ConstantTicks
	for i, b := range p.Bars {
		if b.Value < 0 {
			return fmt.Errorf("%s: a bar of %g", b.Name, b.Value)
		}
		most = max(most, b.Value, b.High)
		ticks = append(ticks, plot.Tick{Value: float64(len(p.Bars) - 1 - i), Label: b.Name})
	}
	plt.Add(bars(p.Bars))
	plt.HideX()
	plt.X.Min, plt.X.Max = 0, max(most, 1e-9)*1.3 // Room for the labels.
	plt.Y.Min, plt.Y.Max = -0.6, float64(len(p.Bars))-0.4
	plt.Y.Tick.Marker = ticks
	plt.Y.Tick.Length = 0
	plt.Y.Padding = 0
	return nil
}

// bars draws horizontal bars, the first on top.
type bars []Bar

// Plot implements plot.Plotter.
func (bs bars) Plot(c draw.Canvas, plt *plot.Plot) {
	x, y := plt.Transforms(&c)
	thick := 0.7 * (y(1) - y(0))
	for i, b := range bs {
		middle := y(float64(len(bs) - 1 - i))
		low, high := middle-thick/2, middle+thick/2
		c.FillPolygon(styleOf(b.Name).color, []vg.Point{
			{X: x(0), Y: low}, {X: x(b.Value), Y: low}, {X: x(b.Value), Y: high}, {X: x(0), Y: high},
		})
		end := b.Value
		if b.Low != 0 || b.High != 0 {
			end = max(end, b.High)
			c.StrokeLine2(draw.LineStyle{Color: ink, Width: vg.Points(1)}, x(b.Low), middle, x(b.High), middle)
		}
		c.FillText(label(8, draw.XLeft, draw.YCenter), vg.Point{X: x(end) + vg.Points(3), Y: middle}, b.Label)
	}
}
