package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/internal/validate"
)

// sent is the definition or script that a request holds, and how the workbench gets it.
type sent struct {
	workbench.Script
	name  string                                  // of what the user sent
	place func(line, column int) (int, int, bool) // nil: the workbench reads what the user sent
	data  []workbench.Data                        // rows of tables, where it is a form
}

func noWorkbench() error {
	return refuse(http.StatusServiceUnavailable, "this server has no workbench", "its log has the reason; flink-entrypoint debug and validate do the same on your machine")
}

// scriptProblem makes a problem of what the workbench refuses without a place in the script.
func scriptProblem(w http.ResponseWriter, err error) error {
	if refused, ok := errors.AsType[*workbench.Refused](err); ok {
		if refused.Busy {
			w.Header().Set("Retry-After", "5")
			return refuse(http.StatusTooManyRequests, refused.Message, refused.Hint)
		}
		return refuse(http.StatusUnprocessableEntity, refused.Message, refused.Hint)
	}
	if away, ok := errors.AsType[*workbench.Away](err); ok {
		w.Header().Set("Retry-After", "5")
		return refuse(http.StatusServiceUnavailable, away.Error(), away.Hint())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		w.Header().Set("Retry-After", "5")
		return refuse(http.StatusServiceUnavailable, "Flink did not answer in time", "try again; an operator sees in the server's log whether JVMs start")
	}
	if problems := validate.Problems(err); len(problems) > 0 {
		var faults Faults
		for _, p := range problems {
			faults = append(faults, wire.Fault(p))
		}
		return faults
	}
	if failed, ok := errors.AsType[*phase.Error](err); ok {
		return refuse(http.StatusUnprocessableEntity, failed.Error(), failed.Hint)
	}
	return err
}

// faults are at their places in what the user sent.
func (s sent) faults(err error) []wire.ScriptFault {
	out := []wire.ScriptFault{}
	for _, f := range workbench.Faults(err) {
		if f.File != "init.sql" && !workbench.IsData(f.File) && s.place != nil {
			f.File = s.name
			for _, at := range []struct{ line, column *int }{{&f.Line, &f.Column}, {&f.EndLine, &f.EndColumn}} {
				if *at.line > 0 {
					*at.line, *at.column, _ = s.place(*at.line, *at.column)
				}
			}
		}
		out = append(out, wire.ScriptFault(f))
	}
	return out
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// validate: POST /v1/validate. What is wrong with the script is an answer, not an error.
func (a *API) validate(w http.ResponseWriter, r *http.Request) error {
	script, err := a.scriptIn(w, r)
	if err != nil {
		return err
	}
	warnings, err := a.Workbench.Validate(r.Context(), script.Script)
	faults := script.faults(err)
	if err != nil && len(faults) == 0 {
		return scriptProblem(w, err)
	}
	return answer(w, http.StatusOK, wire.Validated{Valid: err == nil, Flink: a.Workbench.VersionOf(script.Script), Faults: faults, Warnings: orEmpty(warnings)})
}

// lineage: POST /v1/lineage.
func (a *API) lineage(w http.ResponseWriter, r *http.Request) error {
	script, err := a.scriptIn(w, r)
	if err != nil {
		return err
	}
	return a.answerLineage(w, r, script)
}

func (a *API) answerLineage(w http.ResponseWriter, r *http.Request, script sent) error {
	l, err := a.Workbench.Lineage(r.Context(), script.Script)
	if faults := script.faults(err); len(faults) > 0 {
		var out Faults
		for _, f := range faults {
			out = append(out, wire.Fault{Path: "sql.script", Line: f.Line, Column: f.Column, Message: f.Message, Hint: f.Hint})
		}
		return out
	}
	if err != nil {
		return scriptProblem(w, err)
	}
	out := wire.Lineage{Tables: []wire.LineageTable{}, Edges: []wire.LineageEdge{}}
	for _, t := range l.Tables {
		table := wire.LineageTable{Name: t.Name, Short: t.Short, Role: string(t.Role), Connector: t.Connector, InCatalog: t.InCatalog, Line: t.Line}
		place := l.Place
		if script.place != nil {
			place = script.place
		}
		if line, column, ok := place(t.Line, 1); ok {
			table.Place = &wire.Place{Line: line, Column: column}
		}
		out.Tables = append(out.Tables, table)
	}
	for _, e := range l.Edges {
		out.Edges = append(out.Edges, wire.LineageEdge{From: e.From, To: e.To, Part: e.Part, Statement: e.Statement})
	}
	return answer(w, http.StatusOK, out)
}

// count reads a number of a query, 0 where it is not given.
func count(r *http.Request, name string, least int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least {
		return 0, refuse(http.StatusBadRequest, fmt.Sprintf("%s is %q, expected a whole number of at least %d", name, text, least), "")
	}
	return n, nil
}

// debug: POST /v1/debug?rows=&rowsPerSecond=&seed=. What is refused without a place in the script is a problem; everything else is in the
// stream. The run ends with its reader.
func (a *API) debug(w http.ResponseWriter, r *http.Request) error {
	script, err := a.scriptIn(w, r)
	o := workbench.DebugOptions{Data: script.data}
	for name, into := range map[string]*int64{"rows": &o.Rows, "rowsPerSecond": &o.RowsPerSecond} {
		if err == nil {
			*into, err = count(r, name, 1)
		}
	}
	if err == nil {
		o.Seed, err = count(r, "seed", -1<<63)
	}
	if err != nil {
		return err
	}
	leave, err := a.streaming(w, r)
	if err != nil {
		return err
	}
	defer leave()
	if err := a.Store.Audit(r.Context(), who(r).team, "", fmt.Sprintf("a script was debugged: %d bytes, sha256 %x", len(script.Source), sha256.Sum256(script.Source))); err != nil {
		return err
	}
	s := &debugStream{w: w, rc: http.NewResponseController(w)}
	defer s.alive()()
	end, err := a.Workbench.Debug(r.Context(), who(r).key(), script.Script, o, workbench.Events{
		Queued: func(place int) { s.send(wire.DebugQueued, wire.DebugQueue{Place: place}) },
		Start: func(warm bool) {
			s.send(wire.DebugStarted, wire.DebugStart{Flink: a.Workbench.VersionOf(script.Script), Warm: warm})
		},
		Ready: func(sinks, warnings []string) {
			s.send(wire.DebugRunning, wire.DebugRun{Sinks: orEmpty(sinks), Warnings: orEmpty(warnings)})
		},
		Columns: func(table string, names []string) {
			s.send(wire.DebugColumns, wire.Columns{Table: table, Columns: names})
		},
		Row: func(row workbench.Row) {
			s.send(wire.DebugRow, wire.Row{Table: row.Table, Kind: row.Kind, Row: row.Text, Cells: row.Cells})
		},
		Line: func(line string) { s.send(wire.DebugLine, wire.Text{Text: mask.Text(line)}) },
		Warn: func(warning string) { s.send(wire.DebugWarning, wire.Text{Text: mask.Text(warning)}) },
	})
	if r.Context().Err() != nil {
		return nil // the reader is gone
	}
	faults := script.faults(err)
	if err != nil && len(faults) == 0 && !s.begun() {
		return scriptProblem(w, err)
	}
	for _, f := range faults {
		s.send(wire.DebugFault, f)
	}
	out := wire.DebugEnded{Outcome: "finished", Reason: end.Limit, Rows: end.Rows, First: end.First.Seconds(), Took: end.Took.Seconds(), Expects: end.Tables}
	switch {
	case err != nil:
		out.Outcome = "failed"
		if len(faults) == 0 {
			out.Reason = mask.Text(err.Error())
		}
	case end.Limit != "":
		out.Outcome = "limited"
	}
	s.send(wire.DebugEnd, out)
	return nil
}

// checkCatalog: POST /v1/catalogs/NAME/check. That the catalog cannot be connected to is an answer, not an error.
func (a *API) checkCatalog(w http.ResponseWriter, r *http.Request) error {
	name, team := r.PathValue("name"), who(r).team
	if _, err := a.Store.Catalog(r.Context(), team, name); errors.Is(err, store.ErrNotFound) {
		return notFound("catalog", name)
	} else if err != nil {
		return err
	}
	if a.Workbench == nil {
		return refuse(http.StatusServiceUnavailable, "this server has no workbench", "its log has the reason")
	}
	source, err := json.Marshal(map[string]any{"apiVersion": jobdef.APIVersion, "name": "check", "x-platform": map[string]any{"catalogs": []string{name}},
		"sql": map[string]any{"script": workbench.CatalogScript(name)}})
	if err != nil {
		return err
	}
	script := workbench.Script{Name: "job.yaml"}
	d, err := a.Prepare(r.Context(), team, script.Name, source, nil)
	if err != nil {
		return err
	}
	script.Source = d.Document
	a.lookUp(r, &script)
	if err := a.Store.Audit(r.Context(), team, "", fmt.Sprintf("the catalog %s was checked", name)); err != nil {
		return err
	}
	began := time.Now()
	err = a.Workbench.CheckCatalog(r.Context(), script)
	out := wire.CatalogChecked{OK: err == nil, Message: fmt.Sprintf("the catalog %s answers", name), Faults: []wire.ScriptFault{}}
	for _, f := range (sent{}).faults(err) { // the script is not the user's: what is at fault is the stored statement
		out.Faults = append(out.Faults, wire.ScriptFault{File: name, Line: 1, Column: 1, Message: f.Message, Hint: f.Hint})
	}
	if err != nil {
		if len(out.Faults) == 0 {
			return scriptProblem(w, err)
		}
		out.Message = out.Faults[0].Message
	}
	out.Took = time.Since(began).Seconds()
	return answer(w, http.StatusOK, out)
}

// debugStream writes server-sent events.
type debugStream struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu    sync.Mutex
	first bool // was written
	spoke time.Time
}

func (s *debugStream) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

func (s *debugStream) send(event string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		b = []byte("{}") // the types of wire can always be written
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.first {
		s.first = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no")
	}
	s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", event, b))
}

// write writes to a reader; one that is gone ends the request's context.
func (s *debugStream) write(text string) {
	s.rc.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err := io.WriteString(s.w, text); err == nil {
		s.rc.Flush()
	}
	s.spoke = time.Now()
}

// alive writes a comment from time to time, so that no proxy ends a quiet stream. The returned function ends it.
func (s *debugStream) alive() (end func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(streamAlive)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				s.mu.Lock()
				if s.first && time.Since(s.spoke) >= streamAlive {
					s.write(": still here\n\n")
				}
				s.mu.Unlock()
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
