package main

import (
	"fmt"
	"strings"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/chart"
)

// drawAll draws a chart for each stream, as SVG and PNG.
func (rs *results) drawAll(directory string) error {
	for first := 0; first < len(rs.rows); {
		end := first
		for end < len(rs.rows) && rs.rows[end].stream == rs.rows[first].stream {
			end++
		}
		if err := rs.chart(rs.rows[first:end]).Save(directory); err != nil {
			return err
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

// chart shows hit ratio over cache size, a line for each cache.
func (rs *results) chart(rows []row) chart.Figure {
	panel := chart.Panel{
		X:    fmt.Sprintf("cache size, %% of %d distinct keys", rows[0].distinct),
		Y:    "hit ratio, %",
		LogX: true, FromZero: true,
	}
	for _, r := range rows {
		panel.Ticks = append(panel.Ticks, chart.Tick{At: r.percent(), Label: fmt.Sprintf("%.3g%%", r.percent())})
	}
	for i, c := range rs.caches {
		line := chart.Line{Name: c.name}
		for _, r := range rows {
			line.Points = append(line.Points, chart.Point{X: r.percent(), Y: r.ratio(i)})
		}
		panel.Lines = append(panel.Lines, line)
	}
	return chart.Figure{Name: fileName(rows[0].stream), Title: rows[0].stream, Panels: []chart.Panel{panel}}
}
