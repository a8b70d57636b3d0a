package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/validate"
)

func debugFlags(f *pflag.FlagSet) {
	f.Int64("rows", 10, "rows that each source generates")
	f.Int64("rows-per-second", 0, "rows per second of each source (default: no limit)")
	f.StringArray("data", nil, "read `TABLE=FILE` (CSV with a first line of names, JSON) instead of generated rows; may be repeated")
	f.Int64("seed", 0, "seed that gives the same numbers and strings each time")
}

// script reads the file of a command.
func (c *call) script() (cl *client.Client, source []byte, sql bool, err error) {
	if cl, err = c.client(); err != nil {
		return nil, nil, false, err
	}
	name := c.words[0]
	source, err = c.readFile(name)
	return cl, source, name == "-" || filepath.Ext(name) == ".sql", err
}

// faults shows what is wrong with a script as flink-entrypoint does, and returns the error of the command.
func (c *call) faults(list []wire.ScriptFault) error {
	var faults []validate.Fault
	for _, f := range list {
		fault := validate.Fault(f)
		if fault.File != "init.sql" && !strings.HasPrefix(fault.File, "data:") {
			fault.File = c.words[0]
		}
		faults = append(faults, fault)
	}
	if c.text("output") != "json" {
		validate.Write(c.stderr, faults, func(text string) string { return text })
	}
	return failure{&validate.FaultsError{Faults: faults}, exitInvalid}
}

func validateScript(c *call) error {
	cl, source, sql, err := c.script()
	if err != nil {
		return err
	}
	v, err := cl.Validate(c.ctx, source, sql)
	if err != nil {
		return fmt.Errorf("%s: %w", c.words[0], err)
	}
	for _, w := range v.Warnings {
		fmt.Fprintln(c.stderr, "warning:", w)
	}
	if !c.json(v) && v.Valid {
		fmt.Fprintf(c.stdout, "valid: %s (Flink %s)\n", c.words[0], v.Flink)
	}
	if !v.Valid {
		return c.faults(v.Faults)
	}
	return nil
}

func debugScript(c *call) error {
	cl, source, sql, err := c.script()
	if err != nil {
		return err
	}
	var options [3]int64
	for i, name := range []string{"rows", "rows-per-second", "seed"} {
		if options[i], err = c.flags.GetInt64(name); err != nil {
			return err
		}
	}
	if options[0] < 1 || options[1] < 1 && c.flags.Changed("rows-per-second") {
		return usagef("--rows and --rows-per-second: expected a number of at least 1")
	}
	data, err := c.dataFiles()
	if err != nil {
		return err
	}
	began := time.Now()
	rows := &localrun.Rows{W: c.stdout}
	var end wire.DebugEnded
	var faults []wire.ScriptFault
	err = cl.Debug(c.ctx, source, sql, client.DebugOptions{Rows: options[0], RowsPerSecond: options[1], Seed: options[2], Data: data}, func(event string, data []byte) error {
		if c.text("output") == "json" {
			fmt.Fprintf(c.stdout, "{\"event\":%q,\"data\":%s}\n", event, data)
		}
		return c.debugged(event, data, rows, &faults, &end)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.words[0], err)
	}
	switch {
	case len(faults) > 0:
		return c.faults(faults)
	case end.Outcome == "failed":
		return failure{fmt.Errorf("%s: %s", c.words[0], end.Reason), exitInvalid}
	case c.text("output") != "json":
		rows.Summary(c.stderr, began, time.Since(began), end.Expects)
	}
	return nil
}

// dataFiles reads --data.
func (c *call) dataFiles() (map[string]string, error) {
	words, err := c.flags.GetStringArray("data")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, w := range words {
		table, file, ok := strings.Cut(w, "=")
		if !ok || table == "" || file == "" {
			return nil, usagef("--data: found %q, expected TABLE=FILE", w)
		}
		if other, twice := files[table]; twice {
			return nil, usagef("--data: table %s has two files, %q and %q", table, other, file)
		}
		if st, err := os.Stat(file); err != nil {
			return nil, usagef("--data: %w", err)
		} else if st.IsDir() {
			return nil, usagef("--data: %s is a directory", file)
		}
		files[table] = file
	}
	return files, nil
}

// debugged shows one event of a debug run, or keeps it for the end.
func (c *call) debugged(event string, data []byte, rows *localrun.Rows, faults *[]wire.ScriptFault, end *wire.DebugEnded) error {
	shown := c.text("output") != "json"
	var text wire.Text
	var err error
	switch event {
	case wire.DebugQueued:
		var queue wire.DebugQueue
		if err = json.Unmarshal(data, &queue); err == nil {
			fmt.Fprintf(c.stderr, "waiting for other debug runs, place %d\n", queue.Place)
		}
	case wire.DebugRunning:
		var run wire.DebugRun
		err = json.Unmarshal(data, &run)
		for _, w := range run.Warnings {
			fmt.Fprintln(c.stderr, "warning:", w)
		}
		rows.Names(run.Sinks)
	case wire.DebugColumns:
		var columns wire.Columns
		if err = json.Unmarshal(data, &columns); err == nil && shown {
			rows.Columns(columns.Table, columns.Columns)
		}
	case wire.DebugRow:
		var row wire.Row
		if err = json.Unmarshal(data, &row); err == nil && shown {
			rows.Row(localrun.Row{Table: row.Table, Kind: row.Kind, Text: row.Row, Cells: row.Cells})
		}
	case wire.DebugLine:
		if err = json.Unmarshal(data, &text); err == nil && shown {
			rows.Line(text.Text)
		}
	case wire.DebugWarning:
		if err = json.Unmarshal(data, &text); err == nil {
			fmt.Fprintln(c.stderr, "warning:", text.Text)
		}
	case wire.DebugFault:
		var fault wire.ScriptFault
		err = json.Unmarshal(data, &fault)
		*faults = append(*faults, fault)
	case wire.DebugEnd:
		err = json.Unmarshal(data, end)
		if end.Outcome == "limited" {
			fmt.Fprintln(c.stderr, "warning:", end.Reason)
		}
	}
	return err
}

func lineageOf(c *call) error {
	cl, source, sql, err := c.script()
	if err != nil {
		return err
	}
	l, err := cl.Lineage(c.ctx, source, sql)
	if err != nil {
		return fmt.Errorf("%s: %w", c.words[0], err)
	}
	if c.json(l) {
		return nil
	}
	short := map[string]wire.LineageTable{}
	for _, t := range l.Tables {
		short[t.Name] = t
	}
	c.table("FROM\tROLE\tCONNECTOR\tTO\tSTATEMENT", func(w io.Writer) {
		for _, e := range l.Edges {
			from, to, statement := short[e.From], "the query's output", "-"
			if e.To != "" {
				to = short[e.To].Short
			}
			if e.Statement > 0 {
				statement = fmt.Sprint(e.Statement)
			}
			connector := from.Connector
			if connector == "" {
				connector = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", from.Short, from.Role, connector, to, statement)
		}
	})
	return nil
}
