package localrun

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRowsOfQueries: after a SELECT, whose table ends with Flink's "5 rows in set", debug said "0 rows".
func TestRowsOfQueries(t *testing.T) {
	const (
		streaming = "+----+------+\n| op |    a |\n+----+------+\n| +I |    1 |\n| +I | +- 7 rows in set |\n+----+------+\n"
		batch     = "+------+\n| a |\n+------+\n| 1 |\n+------+\n"
		show      = "+------------+\n| table name |\n+------------+\n| c |\n+------------+\n1 row in set\n"
		describe  = "+------+--------+------+\n| name |   type | null |\n+------+--------+------+\n|    a | INT | TRUE |\n+---+\n1 row in set\n"
	)
	for _, tt := range []struct {
		name, output string
		batch        bool
		want         string
	}{
		{name: "streaming", output: streaming + "2 rows in set\n", want: "2 rows in "},
		{name: "several, with a statement that is not a query, and a sink", output: show + streaming + "2 rows in set\ns> +I[1]\n" + describe + streaming + "2 rows in set\n", want: "5 rows in "},
		{name: "as older releases end it", output: streaming + "Received a total of 2 rows\n", want: "2 rows in "},
		{name: "batch", output: show + describe + batch + "1 row in set\n", batch: true, want: "1 rows in "},
		{name: "none", output: show + "Empty set\n", want: "0 rows in "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			r := &Rows{W: &out, width: 1}
			lines := rowReader{redact: func(s string) string { return s }}
			lines.table.batch = tt.batch
			lines.sink("s", "s")
			for line := range strings.Lines(tt.output) {
				lines.line(strings.TrimSuffix(line, "\n"), Events{Row: r.Row, Text: r.text})
			}
			r.Summary(&errs, time.Now(), time.Second, true)
			if got := errs.String(); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "none") || strings.HasPrefix(got, "0") != strings.Contains(got, "hint: ") ||
				strings.HasPrefix(got, "0") == strings.Contains(got, "the first after") {
				t.Errorf("summary %q, want %q", got, tt.want)
			}
		})
	}
}

// TestExactRows: what an engine of a server prints is read column by column. What only looks like a row, and what is cut, is shown as it is.
func TestExactRows(t *testing.T) {
	var got []string
	show := func(words ...any) { got = append(got, fmt.Sprint(words...)) }
	r := rowReader{redact: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }, exact: true, named: map[string]bool{}}
	r.sink("s", "s")
	r.sink("d.t", "t")
	e := Events{
		Columns: func(table string, names []string) { show(table, " =", fmt.Sprintf("%q", names)) },
		Row: func(row Row) {
			text := row.Table + " " + row.Kind + row.Text
			for _, c := range row.Cells {
				if text += "|NULL"; c != nil {
					text = strings.TrimSuffix(text, "NULL") + *c
				}
			}
			show(text)
		},
		Text: func(line string, _ bool, _ int) { show("line ", line) },
	}
	for _, line := range []string{
		`s> =["id","a, b"]`,
		`s> +I["1","x, \"y\"\n\u00e9"]`,
		`d.t:2> -U[null,"null",""]`,
		`d.t> =["n"]`,
		`s> =["id","a, b"]`, // of another subtask
		`d.t:1> +U["hunter2"]`,
		`s> +I[1, x]`, // a function's
		`s> +I["1","x`,
		`s> =[null]`,
		`s> =x`,
		`u> +I["1"]`,
		"\x1ecolumns\t[\"n\"]",
		"\x1erow\t-U[null]",
		"\x1ecolumns\t[\"m\"]", // of another query
		"\x1erow\t+I",
	} {
		r.line(line, e)
	}
	want := []string{`s =["id" "a, b"]`, "s +I[1, x, \"y\"\n\u00e9]|1|x, \"y\"\n\u00e9", `t -U[null, null, ]|NULL|null|`, `t =["n"]`, `t +U[***]|***`, `s +I[1, x]`, `s +I["1","x`, `line s> =x`, `line u> +I["1"]`,
		` =["n"]`, ` -U[null]|NULL`, ` =["m"]`, "line \x1erow\t+I"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRowsInColumns: a client shows columns below each other, and what would look like something else in quotes.
func TestRowsInColumns(t *testing.T) {
	var out bytes.Buffer
	r := &Rows{W: &out}
	r.Names([]string{"revenue", "p"})
	text := func(s string) *string { return &s }
	r.Columns("revenue", []string{"day", "total"})
	r.Row(Row{Table: "revenue", Kind: "+I", Text: "[monday, 1]", Cells: []*string{text("monday"), text("1")}})
	r.Row(Row{Table: "p", Kind: "-D", Text: "[x]"})
	r.Row(Row{Table: "revenue", Kind: "+U", Text: "[null, a\nb]", Cells: []*string{nil, text("a\nb")}})
	r.Row(Row{Table: "revenue", Kind: "+U", Text: "[NULL, ]", Cells: []*string{text("NULL"), text("")}})
	r.Row(Row{Table: "revenue", Kind: "+U", Text: "[…]", Cells: []*string{text(strings.Repeat("x", 41)), text(" y")}})
	want := `revenue      day     total
revenue  +I  monday  1
p        -D  [x]
revenue  +U  NULL    "a\nb"
revenue  +U  "NULL"  ""
revenue  +U  ` + strings.Repeat("x", 41) + `  " y"
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	r.Columns("", []string{"a long name"})
	r.Row(Row{Kind: "+I", Cells: []*string{text("1")}})
	r.Columns("", []string{"b", "c"}) // of a query without rows
	r.Columns("", []string{"d"})
	r.Row(Row{Kind: "+I", Cells: []*string{text("2")}})
	if want := "query        a long name\nquery    +I  1\nquery        d\nquery    +I  2\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	var errs bytes.Buffer
	if r.Summary(&errs, time.Now(), time.Second, true); !strings.HasPrefix(errs.String(), "7 rows in ") {
		t.Error(errs.String())
	}
}
