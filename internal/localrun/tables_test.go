package localrun

import (
	"bytes"
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
				lines.line(strings.TrimSuffix(line, "\n"), r.Row, r.text)
			}
			r.Summary(&errs, time.Now(), time.Second, true)
			if got := errs.String(); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "none") || strings.HasPrefix(got, "0") != strings.Contains(got, "hint: ") ||
				strings.HasPrefix(got, "0") == strings.Contains(got, "the first after") {
				t.Errorf("summary %q, want %q", got, tt.want)
			}
		})
	}
}
