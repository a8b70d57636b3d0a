package sqlrunner

import (
	"strconv"
	"strings"
)

// Finding is an error that a Check found.
type Finding struct {
	Statement          string // its name, e.g. "statement 3"
	Line, Column       int    // in the part; of the fault where Flink says so, else of the statement
	EndLine, EndColumn int    // of the fault's last character; 0 where Flink does not say
	Reason             string // Flink's, in one line
}

// ParseReport reads the standard output of a Check. ok tells whether the check came to its end.
func ParseReport(output string) (findings []Finding, ok bool) {
	for line := range strings.Lines(output) {
		f := strings.SplitN(strings.TrimRight(line, "\r\n"), "\t", 5)
		switch {
		case len(f) == 5 && f[0] == "error":
			finding := Finding{Line: number(f[1]), Column: number(f[2]), Statement: f[3], Reason: f[4]}
			finding.locate()
			findings = append(findings, finding)
		case len(f) == 2 && f[0] == "checked":
			ok = true
		}
	}
	return findings, ok
}

// ParseDefinition reads a line of standard output of an Ask: ddl is how the table of Options.Tables[table] is defined, as SHOW
// CREATE says it. A table that Flink does not find has no such line. done tells that it was the last line.
func ParseDefinition(line string) (table int, ddl string, ok, done bool) {
	f := strings.SplitN(strings.TrimRight(line, "\r\n"), "\t", 3)
	if f[0] == "checked" {
		return 0, "", false, true
	}
	if len(f) != 3 || f[0] != "ddl" {
		return 0, "", false, false
	}
	table, err := strconv.Atoi(f[1])
	return table, strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\\`, `\`).Replace(f[2]), err == nil, false
}

// ParseReady reads a line of standard output of a Warm. reason is why its script failed, "" if it did not.
func ParseReady(line string) (reason string, ok bool) {
	reason, ok = strings.CutPrefix(strings.TrimRight(line, "\r\n"), "ready\t")
	return reason, ok
}

// ParseEnded reads a line of standard output of a Local that was asked for on standard input. last: the script came to its end, and text is what it
// had printed on the line before.
func ParseEnded(line string) (text string, last bool) {
	return strings.CutSuffix(strings.TrimRight(line, "\r\n"), "\x1eended")
}

// Exact is the option of Java that makes a Local print the rows of queries for a program, see ParseQuery.
const Exact = "-Dflinkentrypoint.exact=true"

// ParseQuery reads a line of standard output of a Local with Exact that is a row of a query, or, before the first one, the names of its columns:
// then kind is "". texts is a JSON list.
func ParseQuery(line string) (kind, texts string, ok bool) {
	if texts, ok = strings.CutPrefix(line, "\x1ecolumns\t"); ok {
		return "", texts, true
	}
	row, ok := strings.CutPrefix(line, "\x1erow\t")
	if !ok || len(row) < len("+I[]") {
		return "", "", false
	}
	return row[:2], row[2:], true
}

// locate takes the place of the fault out of the reason: "From line 2, column 13 to line 2, column 15: …",
// "At line 2, column 13: …", "Encountered … at line 2, column 13."
func (f *Finding) locate() {
	line, column, rest, ok := position(f.Reason)
	if !ok {
		return
	}
	f.Line, f.Column = line, column
	if to, isRange := strings.CutPrefix(rest, " to "); isRange {
		if line, column, _, ok := position(to); ok {
			f.EndLine, f.EndColumn = line, column
		}
	}
}

// position finds the first "line N, column M" of s.
func position(s string) (line, column int, rest string, ok bool) {
	for {
		var found bool
		if _, s, found = strings.Cut(s, "line "); !found {
			return 0, 0, "", false
		}
		first, after, _ := strings.Cut(s, ", column ")
		digits := 0
		for digits < len(after) && after[digits] >= '0' && after[digits] <= '9' {
			digits++
		}
		if line, column = number(first), number(after[:digits]); line > 0 && column > 0 {
			return line, column, after[digits:], true
		}
	}
}

// number returns s as a number, 0 if it is not a number.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
