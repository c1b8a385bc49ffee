package chart

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A style is how one implementation looks in every chart.
type style struct {
	color  color.NRGBA
	dashes []vg.Length
	shape  draw.GlyphDrawer
	width  vg.Length
}

// A named style is that of an implementation.
type named struct {
	name string
	style
}

// ink is the colour of text and axes: a grey as far from white as from the dark
// pages of code hosts. Charts have no background of their own.
var ink = color.NRGBA{0x79, 0x79, 0x79, 0xff}

// faint is the colour of grids.
var faint = color.NRGBA{0x79, 0x79, 0x79, 0x40}

// Ours is the implementation that stands out.
const Ours = "dualcache"

// Dashes tell those apart that share a colour: maps, simulated policies.
var (
	dashed = []vg.Length{vg.Points(4), vg.Points(2)}
	dotted = []vg.Length{vg.Points(1), vg.Points(2)}
	long   = []vg.Length{vg.Points(8), vg.Points(3)}
	mixed  = []vg.Length{vg.Points(5), vg.Points(2), vg.Points(1), vg.Points(2)}
)

// palette has the implementations in the order of legends. Colours are chosen for a contrast of
// three and more with white and with near-black, which TestContrast holds them to.
var palette = []named{
	{Ours, style{color.NRGBA{0xd5, 0x5e, 0x00, 0xff}, nil, draw.CircleGlyph{}, vg.Points(2.5)}},
	{"otter", style{color.NRGBA{0x00, 0x78, 0xbe, 0xff}, nil, draw.SquareGlyph{}, vg.Points(1.2)}},
	{"theine", style{color.NRGBA{0x00, 0x96, 0x6e, 0xff}, nil, draw.TriangleGlyph{}, vg.Points(1.2)}},
	{"ristretto", style{color.NRGBA{0xc8, 0x50, 0xa0, 0xff}, nil, draw.PlusGlyph{}, vg.Points(1.2)}},
	{"golang-lru", style{color.NRGBA{0x82, 0x64, 0xdc, 0xff}, nil, draw.CrossGlyph{}, vg.Points(1.2)}},
	{"2q", style{color.NRGBA{0xa8, 0x78, 0x00, 0xff}, nil, draw.RingGlyph{}, vg.Points(1.2)}},
	{"arc", style{color.NRGBA{0x5a, 0x8c, 0x14, 0xff}, nil, draw.BoxGlyph{}, vg.Points(1.2)}},
	{"ttlcache", style{color.NRGBA{0x14, 0x91, 0xa0, 0xff}, nil, draw.PyramidGlyph{}, vg.Points(1.2)}},
	{"sturdyc", style{color.NRGBA{0x9a, 0x5f, 0x46, 0xff}, nil, draw.SquareGlyph{}, vg.Points(1.2)}},

	{"xsync.Map", style{ink, dashed, draw.CircleGlyph{}, vg.Points(1)}},
	{"mutex-map", style{ink, dotted, draw.SquareGlyph{}, vg.Points(1)}},
	{"sync.Map", style{ink, mixed, draw.TriangleGlyph{}, vg.Points(1)}},
	{"nothing", style{ink, nil, draw.CrossGlyph{}, vg.Points(1)}},

	{"sim-lru", style{color.NRGBA{0x82, 0x64, 0xdc, 0xff}, dashed, draw.CrossGlyph{}, vg.Points(1)}},
	{"sim-s3fifo", style{color.NRGBA{0xc8, 0x50, 0xa0, 0xff}, dashed, draw.RingGlyph{}, vg.Points(1)}},
	{"sim-wtinylfu", style{color.NRGBA{0x00, 0x78, 0xbe, 0xff}, dashed, draw.BoxGlyph{}, vg.Points(1)}},
	{"sim-tworegion", style{color.NRGBA{0xd5, 0x5e, 0x00, 0xff}, dashed, draw.RingGlyph{}, vg.Points(1)}},
	{"optimum", style{ink, long, draw.PyramidGlyph{}, vg.Points(1)}},
}

// rank returns the place of an implementation in the palette, its length for one
// that is unknown.
func rank(name string) int {
	for i, n := range palette {
		if n.name == name {
			return i
		}
	}
	return len(palette)
}

// styleOf returns the style of an implementation, a plain one if it is unknown.
func styleOf(name string) style {
	if i := rank(name); i < len(palette) {
		return palette[i].style
	}
	return style{ink, dotted, draw.PlusGlyph{}, vg.Points(1)}
}
