package workbench

import (
	"context"

	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/mock"
)

// Lineage is what feeds what in a script, by its text: its tables and views, and an edge for each that another one or a query reads.
type Lineage struct {
	Tables []mock.Table
	Edges  []Edge
	// Place is where a place of the script is in the definition; ok is false where that has not the script.
	Place func(line, column int) (inLine, inColumn int, ok bool) `json:"-"`
}

// Edge says that rows of a table or view go into another one. The names are whole: catalog.database.table.
type Edge struct {
	From, To  string // To is "" for a query, whose rows are shown
	Statement int    // of the INSERT or query, from 1; 0 between a view and what it reads
	Part      string // of the statement: "init.sql" for what the definition's fields became, else ""
}

// Lineage reads a script; no Java is started. The error has Faults where the script is at fault.
func (w *Workbench) Lineage(ctx context.Context, s Script) (lineage Lineage, err error) {
	w = w.of(s)
	defer func() { err = s.named(err) }()
	var need needs
	if _, _, err := w.read(s, &need); err != nil {
		return lineage, err
	}
	need.beside.Dir = w.o.Dir
	if err := w.secrets(&need); err != nil {
		return lineage, err
	}
	local, err := w.served.With(need.beside).Debug(ctx, s.Name, s.Source, localrun.Options{})
	if local != nil {
		defer local.Close()
	}
	if err != nil {
		return lineage, err
	}
	lineage.Tables, lineage.Place = local.Mocked.Tables, local.Script.Place
	seen, followed := map[Edge]bool{}, map[*mock.Table]bool{}
	add := func(e Edge) {
		if !seen[e] {
			seen[e] = true
			lineage.Edges = append(lineage.Edges, e)
		}
	}
	var follow func(f mock.Feed)
	follow = func(f mock.Feed) { // once a table: views of views would be a large tree
		if followed[f.Table] {
			return
		}
		followed[f.Table] = true
		for _, from := range f.From {
			add(Edge{From: from.Table.Name, To: f.Table.Name})
			follow(from)
		}
	}
	for _, flow := range local.Mocked.Flows {
		to := ""
		if flow.Sink != nil {
			to = flow.Sink.Name
		}
		for _, from := range flow.From {
			add(Edge{From: from.Table.Name, To: to, Statement: flow.Statement, Part: flow.Part})
			follow(from)
		}
	}
	return lineage, nil
}
