package mock

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// Windows of processing time end by the clock. Generated rows come to their end long before, and Flink drops the windows that are
// open then, while it ends those of event time. So the processing time of generated tables becomes an event time, the time at which a
// row is read, where the script lets it; else with a warning.

// window is a window of a statement: TUMBLE(TABLE t, DESCRIPTOR(name), …) or, in GROUP BY, TUMBLE(name, …).
type window struct {
	record   *record // of its statement
	function string
	line     int
	column   string // "" for PROCTIME() itself
}

// eventNow is what PROCTIME() becomes.
const eventNow = "CAST(CURRENT_TIMESTAMP AS TIMESTAMP_LTZ(3))"

// windowFunction reads the word at i.
func (rd *reader) windowFunction(s *statement, i int) {
	w := window{record: s.record, function: s.word(i)}
	switch w.function {
	case "TUMBLE_PROCTIME", "HOP_PROCTIME", "SESSION_PROCTIME": // NULL in a window of event time
		rd.needsProcessing = true
		return
	case "TUMBLE", "HOP", "SESSION", "CUMULATE":
	default:
		return
	}
	if !s.is(i+1, "(") {
		return
	}
	w.line = s.token(i).Line
	if s.word(i+2) == "PROCTIME" && s.is(i+3, "(") {
		rd.windows = append(rd.windows, w)
		return
	}
	if parts, next := s.path(i + 2); parts != nil && s.is(next, ",") && s.word(i+2) != "TABLE" {
		w.column = parts[len(parts)-1]
		rd.windows = append(rd.windows, w)
		return
	}
	for j := i + 2; j < s.partner(i+1); j++ {
		if name, ok := s.name(j + 2); ok && s.word(j) == "DESCRIPTOR" && s.is(j+1, "(") {
			w.column = name
			rd.windows = append(rd.windows, w)
			return
		}
	}
}

// processingWindows decides how windows of processing time are replaced.
func (pl *plan) processingWindows() {
	if pl.batch || pl.options.PlanOnly {
		return
	}
	open := slices.DeleteFunc(slices.Clone(pl.windows), func(w window) bool {
		return w.record.left || w.column != "" && (!pl.columns.processing[w.column] || pl.columns.rowtimes[w.column])
	})
	if len(open) == 0 {
		return
	}
	if tables := pl.eventTables(open); len(tables) > 0 {
		for _, o := range tables {
			eventual := o.def.few().processing
			o.ensureChoices().eventual = eventual
			pl.warnf("table %s: %s, PROCTIME() in the script, is an event time here: windows end with the rows, processing-time windows would still be open", o.identifier(), eventual)
		}
		return
	}
	for _, w := range open {
		pl.warnf("%s: %s (line %d) makes processing-time windows, and one that is open when the generated rows end gives no rows: "+
			"make the run longer than a window (--rows with --rows-per-second), or give the table an event time (WATERMARK)", w.record.place(), w.function, w.line)
	}
}

// eventTables returns the tables whose processing time is to become an event time: all that have one, since joins mix no kinds of
// time, or none.
func (pl *plan) eventTables(open []window) []*object {
	if pl.needsProcessing {
		return nil
	}
	for _, r := range pl.records {
		if slices.ContainsFunc(r.uses, func(u mention) bool { return u.join != nil && u.join.asOf[1] > 0 }) { // a lookup
			return nil
		}
	}
	var tables []*object
	names := map[string]bool{}
	for _, o := range pl.objects {
		if o.def == nil {
			continue
		}
		name, columns := o.def.few().processing, o.def.few().processes
		if columns == 0 || o.unknown() != "" || o.reads+o.lookups == 0 && len(o.likes()) == 0 {
			continue
		}
		if columns > 1 || o.kept || o.ctas || o.altered || o.like() != nil || len(o.likes()) > 0 || o.lookups > 0 || !o.def.hasColumns || len(o.def.watermark()) > 0 {
			return nil
		}
		names[name] = true
		tables = append(tables, o)
	}
	if slices.ContainsFunc(open, func(w window) bool { return !names[w.column] }) {
		return nil
	}
	return tables
}

func (c column) isProcessingTime(d *definition) bool {
	from, to := c.expr[0], c.expr[1]
	return c.computed() && to-from == 3 && strings.EqualFold(d.textOf(from), "PROCTIME") && d.is(from+1, "(") && d.is(from+2, ")")
}

// eventElement returns what makes the column an event time.
func eventElement(column string) string {
	name := sqltext.Identifier(column)
	return ", WATERMARK FOR " + name + " AS " + name
}
