package localrun

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// tableReader follows the tables that Flink prints of queries, SHOW and DESCRIBE (org.apache.flink.table.utils.print.TableauStyle), and
// counts the rows of queries.
type tableReader struct {
	batch bool // no table has a column for the kind of change
	lines int  // of the table by now; 0: outside of one
	query bool
}

var endOfTable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:(\d+) rows? in set|Received a total of (\d+) rows?)$`)
})

// line reads the next line of output. begun: the table of a query begins, Flink has its first row. rows is how many there were,
// at its end.
func (t *tableReader) line(line string) (begun bool, rows int) {
	switch {
	case t.lines == 0 && strings.HasPrefix(line, "+-") && strings.HasSuffix(line, "-+"):
		t.lines, t.query = 1, false
	case t.lines == 1: // names of columns
		t.lines++
		t.query = t.isQuery(line)
		return t.query, 0
	case t.lines > 1:
		end := endOfTable().FindStringSubmatch(line)
		if end == nil {
			t.lines++
			return false, 0
		}
		t.lines = 0
		if t.query {
			rows, _ = strconv.Atoi(end[1] + end[2])
		}
	}
	return false, rows
}

// isQuery tells a query's table from those of SHOW and DESCRIBE by its head.
func (t *tableReader) isQuery(head string) bool {
	columns := strings.Split(strings.Trim(head, "| "), "|")
	for i := range columns {
		columns[i] = strings.TrimSpace(columns[i])
	}
	if !t.batch {
		return columns[0] == "op"
	}
	if len(columns) > 1 {
		return !(columns[0] == "name" && columns[1] == "type") && columns[0] != "info name" && columns[0] != "module name"
	}
	switch name := columns[0]; {
	case strings.HasSuffix(name, " name"), name == "jars", name == "result":
		return false
	}
	return true
}
