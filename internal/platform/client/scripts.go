package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/platform/wire"
)

// post sends a definition, or a script alone, to be looked at.
func (c *Client) post(ctx context.Context, path string, source []byte, script bool) (*http.Response, error) {
	return c.Send(ctx, http.MethodPost, path, http.Header{"Content-Type": {kindOf(script)}}, bytes.NewReader(source))
}

// body is the request of a debug run: a form where tables have rows.
func (o DebugOptions) body(source []byte, script bool) (body *bytes.Reader, kind string, err error) {
	if len(o.Data) == 0 {
		return bytes.NewReader(source), kindOf(script), nil
	}
	var out bytes.Buffer
	form := multipart.NewWriter(&out)
	add := func(part, file string, content []byte) error {
		w, err := form.CreateFormFile(part, file)
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	}
	name := "job.yaml"
	if script {
		name = "job.sql"
	}
	if err := add("script", name, source); err != nil {
		return nil, "", err
	}
	for _, table := range slices.Sorted(maps.Keys(o.Data)) {
		rows, err := os.ReadFile(o.Data[table])
		if err != nil {
			return nil, "", err
		}
		if err := add("data:"+table, filepath.Base(o.Data[table]), rows); err != nil {
			return nil, "", err
		}
	}
	err = form.Close()
	return bytes.NewReader(out.Bytes()), form.FormDataContentType(), err
}

// Validate lets the planner check a definition or a script. Faults of the script are in the answer.
func (c *Client) Validate(ctx context.Context, source []byte, script bool) (wire.Validated, error) {
	var out wire.Validated
	resp, err := c.post(ctx, "/v1/validate", source, script)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// Lineage tells what feeds what.
func (c *Client) Lineage(ctx context.Context, source []byte, script bool) (wire.Lineage, error) {
	var out wire.Lineage
	resp, err := c.post(ctx, "/v1/lineage", source, script)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// DebugOptions are of a debug run; 0: the server's default.
type DebugOptions struct {
	Rows, RowsPerSecond, Seed int64
	// Data are files with rows of tables: CSV with the names of the columns in the first line, or JSON.
	Data map[string]string
}

// Debug runs a definition or a script on generated rows, and calls f for each event, see wire.DebugStarted. The run ends with ctx.
func (c *Client) Debug(ctx context.Context, source []byte, script bool, o DebugOptions, f func(event string, data []byte) error) error {
	q := url.Values{}
	for name, n := range map[string]int64{"rows": o.Rows, "rowsPerSecond": o.RowsPerSecond, "seed": o.Seed} {
		if n != 0 {
			q.Set(name, strconv.FormatInt(n, 10))
		}
	}
	body, kind, err := o.body(source, script)
	if err != nil {
		return err
	}
	resp, err := c.Send(ctx, http.MethodPost, "/v1/debug?"+q.Encode(), http.Header{"Content-Type": {kind}}, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	event := ""
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		} else if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := f(event, []byte(data)); err != nil || event == wire.DebugEnd {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := lines.Err(); err != nil {
		return &Unreachable{err}
	}
	return &Unreachable{errors.New("the stream ended before the run's end")}
}
