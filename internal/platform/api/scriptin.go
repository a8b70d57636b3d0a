package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/platform/workbench"
)

// Bounds of rows that a request brings for a debug run.
const (
	maxRows    = 4 << 20  // of one table
	maxAllRows = 16 << 20 // of all
	maxTables  = 20
)

// scriptIn reads the definition or script that a request holds, and the rows of tables where it is a form.
func (a *API) scriptIn(w http.ResponseWriter, r *http.Request) (script sent, err error) {
	if a.Workbench == nil {
		return script, noWorkbench()
	}
	if kind, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		script.Script, script.data, err = form(multipart.NewReader(http.MaxBytesReader(w, r.Body, maxDefinition+maxAllRows+maxSmall), parameters["boundary"]))
	} else {
		script.Name = fileName("job", r)
		script.Source, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxDefinition))
	}
	if err != nil {
		return script, err
	}
	script.name = script.Name
	a.lookUp(r, &script.Script)
	// The catalogs that the definition chooses by name are written into it, as in a version. What else is wrong the workbench says, with more places.
	d, err := a.Prepare(r.Context(), who(r).team, script.name, script.Source, chosen(r))
	var faults Faults
	if errors.As(err, &faults) {
		faults = slices.DeleteFunc(faults, func(f wire.Fault) bool { return f.Path != "x-platform.catalogs" && f.Path != "catalog" })
		if len(faults) > 0 {
			return script, faults
		}
	}
	if d.NoScript != nil {
		hint := "write the script as sql.script, or send the .sql file"
		if own, ok := d.NoScript.(interface{ Way() string }); ok && own.Way() != "" {
			hint = own.Way()
		}
		return script, refuse(http.StatusUnprocessableEntity, "sql.scriptUri: "+d.NoScript.Error(), hint)
	}
	if script.Sent = d.Planned == nil; !script.Sent {
		script.Name, script.Source, script.place = "job.yaml", d.Planned, d.Place
	}
	return script, nil
}

// lookUp lets a script name the artifacts of the caller's team.
func (a *API) lookUp(r *http.Request, script *workbench.Script) {
	script.Artifacts = a.URL + "/v1/artifacts/"
	team := who(r).team
	script.Stored = func(name string) (path, sha256 string, err error) {
		x, f, err := a.Store.OpenArtifact(r.Context(), team, name)
		if errors.Is(err, store.ErrNotFound) {
			return "", "", fmt.Errorf("no artifact %s is stored: flink-platform artifacts lists them, and artifact put FILE stores one", name)
		}
		if err != nil {
			return "", "", err
		}
		return f.Name(), x.Digest, f.Close()
	}
}

// form reads the parts of a request: script, and data:TABLE.
func form(parts *multipart.Reader) (script workbench.Script, data []workbench.Data, err error) {
	all := 0
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return script, nil, unreadable(err)
		}
		name := part.FormName()
		table, rows := strings.CutPrefix(name, "data:")
		most := maxDefinition
		switch {
		case name == "script" && script.Name == "":
			if script.Name, err = scriptName(part); err != nil {
				return script, nil, err
			}
		case name == "script":
			return script, nil, refuse(http.StatusBadRequest, "the part script is there twice", "")
		case rows && table != "":
			most = min(maxRows, maxAllRows-all)
		default:
			return script, nil, refuse(http.StatusBadRequest, fmt.Sprintf("unknown part %q, expected script or data:TABLE", name), "")
		}
		content, err := io.ReadAll(io.LimitReader(part, int64(most)+1))
		if err != nil {
			return script, nil, unreadable(err)
		}
		if len(content) > most {
			return script, nil, refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the part %s is too long: a script may have %d MiB, the rows of a table %d MiB, and those of all tables %d MiB", name, maxDefinition>>20, maxRows>>20, maxAllRows>>20), "a debug run shows 1,000 rows: some of them are enough")
		}
		if !rows {
			script.Source = content
			continue
		}
		all += len(content)
		d := workbench.Data{Table: table, Content: content}
		if d.CSV, err = isCSV(part); err != nil {
			return script, nil, err
		}
		if slices.ContainsFunc(data, func(other workbench.Data) bool { return other.Table == table }) {
			return script, nil, refuse(http.StatusBadRequest, fmt.Sprintf("the table %s has rows twice", table), "")
		}
		if data = append(data, d); len(data) > maxTables {
			return script, nil, refuse(http.StatusBadRequest, fmt.Sprintf("more than %d tables have rows", maxTables), "")
		}
	}
	if script.Name == "" {
		return script, nil, refuse(http.StatusBadRequest, "the form has no part script", "")
	}
	return script, data, nil
}

func unreadable(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge
	}
	return refuse(http.StatusBadRequest, "the form cannot be read: "+err.Error(), "multipart/form-data with a part script, and parts data:TABLE")
}

// scriptName is the workbench's name of a script by the name of its file, or by its type.
func scriptName(part *multipart.Part) (string, error) {
	switch ext := strings.ToLower(filepath.Ext(part.FileName())); ext {
	case ".sql":
		return "job.sql", nil
	case ".yaml", ".yml", ".json":
		return "job.yaml", nil
	case "":
		if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind == "application/sql" {
			return "job.sql", nil
		}
		return "job.yaml", nil
	default:
		return "", refuse(http.StatusBadRequest, fmt.Sprintf("the script's file name ends in %q, expected .sql, .yaml or .json", ext), "")
	}
}

// isCSV tells CSV from JSON by the type of a part, or by the name of its file.
func isCSV(part *multipart.Part) (bool, error) {
	switch kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind {
	case "text/csv":
		return true, nil
	case "application/json", "application/x-ndjson", "application/jsonl":
		return false, nil
	}
	switch strings.ToLower(filepath.Ext(part.FileName())) {
	case ".csv":
		return true, nil
	case ".json", ".ndjson", ".jsonl":
		return false, nil
	}
	return false, refuse(http.StatusBadRequest, fmt.Sprintf("the rows of %s are neither text/csv nor application/json", strings.TrimPrefix(part.FormName(), "data:")), "say the part's Content-Type, or a file name that ends in .csv, .json, .jsonl or .ndjson")
}
