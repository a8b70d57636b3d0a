package mock

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
)

// script is a file of testdata/scripts, or an example. Lines that start with "--! " give options:
//
//	--! keep NAME          --! data TABLE=FILE      --! rows N      --! batch
//	--! seed N             --! since 1.19           --! before 2.1
//	--! plan               for the planner alone
//	--! absent TYPE…       no jar makes catalogs of these types
//	--! prints TEXT        what must be in the rows on real Flink
//	--! setup STATEMENT    is executed on real Flink before the script
//	--! catalog NAME       the CREATE TABLE that follows, in a comment, is of a catalog
type script struct {
	name          string
	text          string
	directives    [][2]string
	prints        []string
	setup         []string
	since, before flinkversion.Release // before may be zero: none
}

func scripts(t *testing.T) []script {
	t.Helper()
	files, err := filepath.Glob("testdata/scripts/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	files = append(files, "../../examples/clicks.sql")
	list := lab(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := script{name: strings.TrimSuffix(filepath.Base(file), ".sql"), text: string(text)}
		for line := range strings.Lines(s.text) {
			directive, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "--! ")
			if !ok {
				continue
			}
			key, value, _ := strings.Cut(directive, " ")
			switch key {
			case "prints":
				s.prints = append(s.prints, value)
			case "setup":
				s.setup = append(s.setup, strings.TrimSuffix(value, ";"))
			case "since":
				s.since = release(t, value)
			case "before":
				s.before = release(t, value)
			default:
				s.directives = append(s.directives, [2]string{key, value})
			}
		}
		list = append(list, s)
	}
	return list
}

// lab returns cases that were tried on real Flink by hand, before there was a program: what datagen and print
// accept and refuse. Rewritten, all of them can be planned, but for those marked with "!": no valid SQL, or wrong
// use of datagen by the case itself.
func lab(t *testing.T) []script {
	t.Helper()
	text, err := os.ReadFile("testdata/lab.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []script
	for _, block := range strings.Split(string(text), "=== ")[1:] {
		name, sql, _ := strings.Cut(block, "\n")
		if strings.HasPrefix(name, "!") {
			continue
		}
		name, limit, _ := strings.Cut(name, " | ")
		s := script{name: "lab: " + strings.ReplaceAll(name, "/", " "), text: sql}
		switch key, value, _ := strings.Cut(limit, " "); key {
		case "since":
			s.since = release(t, value)
		case "before":
			s.before = release(t, value)
		}
		list = append(list, s)
	}
	return list
}

func release(t *testing.T, s string) flinkversion.Release {
	t.Helper()
	r, err := flinkversion.ParseRelease(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s script) options(t *testing.T) Options {
	t.Helper()
	var o Options
	for _, d := range s.directives {
		var err error
		switch d[0] {
		case "keep":
			o.Keep = append(o.Keep, d[1])
		case "data":
			table, file, _ := strings.Cut(d[1], "=")
			if o.Data == nil {
				o.Data = map[string]string{}
			}
			if o.Data[table], err = filepath.Abs(filepath.Join("testdata", file)); err != nil {
				t.Fatal(err)
			}
		case "rows":
			o.Rows, err = strconv.ParseInt(d[1], 10, 64)
		case "seed":
			o.Seed, err = strconv.ParseInt(d[1], 10, 64)
		case "absent":
			kinds := strings.Fields(d[1])
			o.AbsentCatalog = func(kind string) bool { return slices.Contains(kinds, kind) }
		case "plan":
			o.PlanOnly = true
		case "batch":
			o.Batch = true
		case "catalog":
			name, ddl, _ := strings.Cut(d[1], " ")
			before := o.Definition
			o.Definition = func(catalog, database, table string) (string, bool) {
				if catalog+"."+database+"."+table == name {
					return ddl, true
				}
				if before != nil {
					return before(catalog, database, table)
				}
				return "", false
			}
		default:
			t.Fatalf("%s: unknown directive %s", s.name, d[0])
		}
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	return o
}
