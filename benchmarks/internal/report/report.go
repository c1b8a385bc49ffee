// Package report keeps what was measured as a table of text cells.
//
// The table is what is written to CSV, and tables for people and charts are made
// from it and nothing else. So a chart can be drawn anew from a file, and what
// it shows can always be looked up.
package report

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A Table has named columns, and rows with a cell for each. An empty cell
// stands for what does not apply or could not be measured.
type Table struct {
	Columns []string
	Rows    [][]string
}

// New returns an empty table.
func New(columns ...string) *Table { return &Table{Columns: columns} }

// Add adds a row. Floating-point numbers are written with five digits.
func (t *Table) Add(cells ...any) {
	if len(cells) != len(t.Columns) {
		panic(fmt.Sprintf("report: %d cells for %d columns", len(cells), len(t.Columns)))
	}
	row := make([]string, len(cells))
	for i, cell := range cells {
		if f, ok := cell.(float64); ok {
			row[i] = Digits(f, 5)
		} else {
			row[i] = fmt.Sprint(cell)
		}
	}
	t.Rows = append(t.Rows, row)
}

// Digits writes a number with so many significant digits, without an exponent.
func Digits(f float64, n int) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'e', n-1, 64), 64)
	if err != nil {
		return "" // Not a number.
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// at returns the index of a column, which must be there.
func (t *Table) at(column string) int {
	i := slices.Index(t.Columns, column)
	if i < 0 {
		panic(fmt.Sprintf("report: no column %q", column))
	}
	return i
}

// Text returns a cell of a row.
func (t *Table) Text(row int, column string) string { return t.Rows[row][t.at(column)] }

// Number returns a cell of a row as a number, and whether it is one.
func (t *Table) Number(row int, column string) (float64, bool) {
	f, err := strconv.ParseFloat(t.Text(row, column), 64)
	return f, err == nil
}

// Where returns the rows that have a value in a column.
func (t *Table) Where(column, value string) *Table {
	at := t.at(column)
	some := New(t.Columns...)
	for _, row := range t.Rows {
		if row[at] == value {
			some.Rows = append(some.Rows, row)
		}
	}
	return some
}

// Values returns the distinct values of a column, in order of appearance.
func (t *Table) Values(column string) []string {
	at := t.at(column)
	var values []string
	for _, row := range t.Rows {
		if !slices.Contains(values, row[at]) {
			values = append(values, row[at])
		}
	}
	return values
}

// Pivot returns a table with a row for each combination of the keys, and a
// column of values for each value of over, those in order first.
func (t *Table) Pivot(keys []string, over, value string, order ...string) *Table {
	names := t.Values(over)
	slices.SortStableFunc(names, func(a, b string) int { return rank(order, a) - rank(order, b) })
	wide := New(append(slices.Clone(keys), names...)...)
	rows := make(map[string]int)
	for i := range t.Rows {
		cells := make([]string, len(keys), len(wide.Columns))
		for k, key := range keys {
			cells[k] = t.Text(i, key)
		}
		id := strings.Join(cells, "\x00")
		row, ok := rows[id]
		if !ok {
			row = len(wide.Rows)
			rows[id] = row
			wide.Rows = append(wide.Rows, append(cells, make([]string, len(names))...))
		}
		wide.Rows[row][len(keys)+slices.Index(names, t.Text(i, over))] = t.Text(i, value)
	}
	return wide
}

// rank returns the place of a name in an order, the last if it has none.
func rank(order []string, name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// Print writes the table in aligned columns.
func (t *Table) Print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, strings.Join(t.Columns, "\t"))
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = cell
			if cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(out, strings.Join(cells, "\t"))
	}
	out.Flush()
}

// Rounded returns the table with all numbers of some columns shortened to so
// many digits, for people to read.
func (t *Table) Rounded(digits int, from int) *Table {
	short := New(t.Columns...)
	for _, row := range t.Rows {
		row = slices.Clone(row)
		for i := from; i < len(row); i++ {
			if f, err := strconv.ParseFloat(row[i], 64); err == nil {
				row[i] = Digits(f, digits)
			}
		}
		short.Rows = append(short.Rows, row)
	}
	return short
}

// WriteCSV writes the columns' names and all rows.
func (t *Table) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(t.Columns); err != nil {
		return err
	}
	return out.WriteAll(t.Rows)
}

// ReadCSV reads a table with the given columns.
func ReadCSV(r io.Reader, columns ...string) (*Table, error) {
	records, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, errors.New("an empty file")
	}
	if !slices.Equal(records[0], columns) {
		return nil, fmt.Errorf("the columns are %v, want %v", records[0], columns)
	}
	return &Table{Columns: columns, Rows: records[1:]}, nil
}
