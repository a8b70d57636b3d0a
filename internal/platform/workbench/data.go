package workbench

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/validate"
)

// Data is the rows of a table instead of generated ones.
type Data struct {
	Table string // as flink-entrypoint debug --data names it
	// CSV: the first line names the columns. Else JSON: an object a line, or a list of objects.
	CSV     bool
	Content []byte
}

// name is how faults call the rows of a table.
func (d Data) name() string { return dataPart + d.Table }

func (d Data) fault(line, column int, format string, args ...any) error {
	return &validate.FaultsError{Faults: []validate.Fault{{File: d.name(), Line: line, Column: column, Message: fmt.Sprintf(format, args...)}}}
}

// lines makes one object of JSON a line: columns are found by their names, whatever their order.
func (d Data) lines() ([]byte, error) {
	content := bytes.TrimPrefix(d.Content, []byte("\xEF\xBB\xBF"))
	if !utf8.Valid(content) {
		return nil, d.fault(1, 0, "the rows are not UTF-8")
	}
	if d.CSV {
		return d.fromCSV(content)
	}
	return d.fromJSON(content)
}

func (d Data) fromCSV(content []byte) ([]byte, error) {
	r := csv.NewReader(bytes.NewReader(content))
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	var head []string
	var out bytes.Buffer
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, d.fault(wrong.Line, wrong.Column, "not CSV: %s", wrong.Err)
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if head == nil {
			if head, err = d.head(row); err != nil {
				return nil, err
			}
			continue
		}
		if len(row) != len(head) {
			return nil, d.fault(line, 1, "the row has %d values, the first line names %d columns", len(row), len(head))
		}
		out.WriteByte('{')
		for i, value := range row {
			if i > 0 {
				out.WriteByte(',')
			}
			out.Write(text(head[i]))
			out.WriteByte(':')
			out.Write(cell(value))
		}
		out.WriteString("}\n")
	}
	if head == nil {
		return nil, d.fault(1, 1, "no rows: expected a first line with the names of the columns")
	}
	return out.Bytes(), nil
}

// head reads the names of the columns.
func (d Data) head(row []string) ([]string, error) {
	seen := map[string]bool{}
	for i, name := range row {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
			return nil, d.fault(1, 1, "column %d has no name in the first line", i+1)
		case seen[name]:
			return nil, d.fault(1, 1, "the first line names the column %s twice", name)
		}
		seen[name], row[i] = true, name
	}
	return row, nil
}

// text is a string of JSON.
func text(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // a string can always be written
	}
	return b
}

// cell is a value of CSV in JSON. Flink reads numbers, booleans and times from strings; nested values are JSON in their field.
func cell(value string) []byte {
	if value == "" {
		return []byte("null")
	}
	if (value[0] == '{' || value[0] == '[') && json.Valid([]byte(value)) {
		var flat bytes.Buffer
		if json.Compact(&flat, []byte(value)) == nil {
			return flat.Bytes()
		}
	}
	return text(value)
}

// fromJSON makes lines of objects, however they are laid out.
func (d Data) fromJSON(content []byte) ([]byte, error) {
	in := json.NewDecoder(bytes.NewReader(content))
	in.UseNumber()
	place := func(offset int64) (line, column int) {
		before := content[:min(max(offset, 0), int64(len(content)))]
		return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	}
	at := func(offset int64, format string, args ...any) error {
		line, column := place(offset)
		return d.fault(line, column, format, args...)
	}
	list := bytes.HasPrefix(bytes.TrimSpace(content), []byte("["))
	if list {
		if _, err := in.Token(); err != nil {
			return nil, at(in.InputOffset(), "not JSON: %s", err)
		}
	}
	var out bytes.Buffer
	for !list || in.More() {
		var row json.RawMessage
		err := in.Decode(&row)
		if errors.Is(err, io.EOF) && !list {
			break
		}
		if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, at(wrong.Offset-1, "not JSON: %s", err)
		}
		if err != nil {
			return nil, at(in.InputOffset(), "not JSON: %s", err)
		}
		if row[0] != '{' {
			return nil, at(in.InputOffset()-int64(len(row)), "expected an object with a row's columns, found %s", validate.Short(string(row)))
		}
		if err := json.Compact(&out, row); err != nil {
			return nil, err
		}
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// put writes the rows as files of a directory, and returns for each table its file as Java will see it, below seen.
func put(data []Data, dir, seen string) (map[string]string, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for i, d := range data {
		if _, twice := files[d.Table]; twice {
			return nil, d.fault(0, 0, "table %s has rows twice", d.Table)
		}
		rows, err := d.lines()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("rows-%d.json", i+1) // the user's text is not used as a file name
		if err := os.WriteFile(filepath.Join(dir, name), rows, 0o644); err != nil {
			return nil, err
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			return nil, err
		}
		files[d.Table] = filepath.Join(seen, name)
	}
	return files, nil
}
