package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/wire"
)

// TestDebugColumns: rows are shown column by column, so that a comma in a string, and NULL beside the word null, can be told apart. A line of
// the JSON form is an event as it came.
func TestDebugColumns(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.Path != "/v1/debug" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range [][2]string{
			{wire.DebugStarted, `{"flink":"2.2.1","warm":true}`},
			{wire.DebugRunning, `{"sinks":["p"],"warnings":[]}`},
			{wire.DebugColumns, `{"table":"p","columns":["id","a, b"]}`},
			{wire.DebugRow, `{"table":"p","kind":"+I","row":"[1, x, \"y\"\nz]","cells":["1","x, \"y\"\nz"]}`},
			{wire.DebugRow, `{"table":"p","kind":"-D","row":"[null, null]","cells":[null,"null"]}`},
			{wire.DebugEnd, `{"outcome":"finished","rows":2,"seconds":1,"expectsRows":true}`},
		} {
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e[0], e[1])
		}
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "job.sql")
	if err := os.WriteFile(file, []byte("SELECT 1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(words ...string) string {
		var out, errs bytes.Buffer
		if code := Main(append([]string{"flink-platform", "debug", "--server", server.URL, file}, words...), nil, strings.NewReader(""), &out, &errs); code != exitOK {
			t.Fatalf("%d: %s", code, errs.String())
		}
		return out.String()
	}
	const want = "p      id  a, b\np  +I  1   \"x, \\\"y\\\"\\nz\"\np  -D  NULL  null\n"
	if got := run(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := run("--output", "json"); !strings.Contains(got, `{"event":"row","data":{"table":"p","kind":"-D","row":"[null, null]","cells":[null,"null"]}}`+"\n") {
		t.Error(got)
	}
}
