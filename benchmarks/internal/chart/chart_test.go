// What can go wrong unseen: a colour that drowns in one kind of page, two
// implementations that look alike, a file that no program opens.
package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dualcache-ff/dualcache/benchmarks/internal/peers"
)

// sample has every kind of panel.
func sample() Figure {
	return Figure{
		Name: "sample", Title: "every kind of panel", Columns: 2,
		Panels: []Panel{
			{
				Title: "lines", X: "entries", Y: "M ops/s", LogX: true, FromZero: true,
				Ticks: []Tick{{1000, "1k"}, {1e6, "1m"}},
				Lines: []Line{
					{Ours, []Point{{1000, 80}, {1e6, 20}}},
					{"otter", []Point{{1000, 20}, {1e6, 5}}},
				},
			},
			{Title: "log", LogX: true, LogY: true, Lines: []Line{{"theine", []Point{{1, 3}, {10, 4e6}}}}},
			{Title: "bars", Bars: []Bar{{Ours, 10, 9, 12, "10"}, {"sync.Map", 3, 0, 0, "3"}}},
			{Title: "nothing yet"},
			{Title: "all zero", Bars: []Bar{{Name: Ours, Label: "0"}}},
		},
	}
}

func TestSaveWritesFilesThatOpen(t *testing.T) {
	directory := t.TempDir()
	if err := sample().Save(directory); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(directory, "sample.svg"))
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg)
	for _, want := range []string{"every kind of panel", "entries", "otter", "sync.Map", "1k", "#D55E00", "sans-serif"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("no %q in the SVG", want)
		}
	}
	file, err := os.Open(filepath.Join(directory, "sample.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(picture, styleOf(Ours).color); n < 1000 {
		t.Errorf("%d pixels of our colour", n)
	}
	if _, _, _, alpha := picture.At(0, 0).RGBA(); alpha != 0 {
		t.Error("the background is not transparent")
	}
}

// wellFormed reads a whole XML document.
func wellFormed(t *testing.T, text []byte) {
	t.Helper()
	for decoder := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// count returns how many pixels have a colour.
func count(picture image.Image, want color.NRGBA) int {
	n := 0
	for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y++ {
		for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x++ {
			if color.NRGBAModel.Convert(picture.At(x, y)) == want {
				n++
			}
		}
	}
	return n
}

func TestRefusedPoints(t *testing.T) {
	for _, p := range []Panel{
		{LogX: true, Lines: []Line{{Ours, []Point{{0, 1}}}}},
		{LogY: true, Lines: []Line{{Ours, []Point{{1, -1}}}}},
		{Bars: []Bar{{Name: Ours, Value: -1}}},
	} {
		if err := (Figure{Name: "bad", Panels: []Panel{p}}).Save(t.TempDir()); err == nil || !strings.Contains(err.Error(), Ours) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestDecades(t *testing.T) {
	labels := func(low, high float64) string {
		var list []string
		for _, tick := range (decades{}).Ticks(low, high) {
			if tick.Label != "" {
				list = append(list, tick.Label)
			}
		}
		return strings.Join(list, " ")
	}
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0.05, 2e6, "0.1 1 10 100 1k 10k 100k 1M"},
		{3, 60, "5 10 20 50"},
	} {
		if got := labels(c.low, c.high); got != c.want {
			t.Errorf("from %g to %g: %s, want %s", c.low, c.high, got, c.want)
		}
	}
}

func TestContrast(t *testing.T) {
	pages := map[string]color.NRGBA{"light": {0xff, 0xff, 0xff, 0xff}, "dark": {0x0d, 0x11, 0x17, 0xff}}
	for _, s := range palette {
		for page, background := range pages {
			if got := contrast(s.color, background); got < 3 {
				t.Errorf("%s has a contrast of %.2f on a %s page", s.name, got, page)
			}
		}
	}
	for page, background := range pages {
		if got := contrast(ink, background); got < 4 {
			t.Errorf("text has a contrast of %.2f on a %s page", got, page)
		}
	}
}

// contrast is that of the Web Content Accessibility Guidelines.
func contrast(a, b color.NRGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c color.NRGBA) float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

func TestStylesDiffer(t *testing.T) {
	seen := make(map[string]string)
	for _, s := range palette {
		look := fmt.Sprint(s.color, s.dashes)
		if other, ok := seen[look]; ok {
			t.Errorf("%s looks like %s", s.name, other)
		}
		seen[look] = s.name
	}
	for _, peer := range peers.All {
		s := styleOf(peer.Name)
		if rank(peer.Name) == len(palette) {
			t.Errorf("%s has no colour", peer.Name)
		}
		if peer.Name != Ours && s.color == styleOf(Ours).color {
			t.Errorf("%s has our colour", peer.Name)
		}
		if peer.Floor != (s.color == ink) {
			t.Errorf("%s: floors are grey, and nobody else", peer.Name)
		}
	}
}
