package flinkrest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/jobstate"
)

const (
	jobA = "0123456789abcdef0123456789abcdef"
	jobB = "fedcba9876543210fedcba9876543210"
)

// archiveOf is an archive as FsJobArchivist writes it.
func archiveOf(t *testing.T, entries ...string) string {
	t.Helper()
	type entry struct {
		Path string `json:"path"`
		JSON string `json:"json"`
	}
	var all struct {
		Archive []entry `json:"archive"`
	}
	all.Archive = []entry{}
	for i := 0; i < len(entries); i += 2 {
		all.Archive = append(all.Archive, entry{entries[i], entries[i+1]})
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestArchived: texts are what encoding/json makes of them, whatever is around them.
func TestArchived(t *testing.T) {
	text := "{\"a\":\"\\\"\\u00e9 é 𝄞 \\ud834\\udd1e \\\\ \\n\"}\x7f\u2028 </script>"
	for name, archive := range map[string]string{
		"as Flink writes it":  archiveOf(t, "/config", "{}", "/x", text, "/y", "2"),
		"the first one stays": archiveOf(t, "/x", text, "/x", "other"),
		"json before path":    `{"archive":[{"json":"{}","path":"/config"},{"json":` + quoted(t, text) + `,"path":"/x"}]}`,
		"with blanks":         " {\n\t\"archive\" : [ { \"path\" : \"/x\" , \"json\" : " + quoted(t, text) + " } , { } ] , \"more\" : {} } \r\n",
		"with other members":  `{"version":[1,-2.5e+3,{"a":[true,false,null,"]}\"\\"]},[],{}],"archive":[{"more":{"path":"/x"},"path":"\/x","json":` + quoted(t, text) + `,"n":0}],"end":1}`,
	} {
		var o struct{ Archive []struct{ Path, JSON string } }
		if err := json.Unmarshal([]byte(archive), &o); err != nil {
			t.Fatalf("%s: the test is wrong: %v", name, err)
		}
		if got, err := Archived(strings.NewReader(archive), "/x"); err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := archived(strings.NewReader(archive), false, "/x", "/missing"); err != nil || len(got) != 1 || string(got["/x"]) != text {
			t.Errorf("%s, to its end: %q, %v", name, slicesOf(got), err)
		}
		if _, err := Archived(strings.NewReader(archive), "/missing"); err == nil || !strings.Contains(err.Error(), "the archive has no /missing") {
			t.Errorf("%s: %v", name, err)
		}
		// Half of it is never taken for the whole.
		trimmed := strings.TrimRight(archive, " \r\n")
		for n := range trimmed {
			if got, err := archived(strings.NewReader(trimmed[:n]), false, "/x"); err == nil {
				t.Fatalf("%s: its first %d bytes pass: %q", name, n, slicesOf(got))
			}
		}
	}
	for _, wrong := range []string{"", "null", "[]", `{"archive":{}}`, `{"archive":[1]}`, `{"archive":[{"path":1}]}`, `{"archive":[{"path":"/x","json":{}}]}`, `{"archive":[]} x`, `{"archive":[]}{}`,
		`{"archive":[],}`, `{"archive":[{"path":"/x" "json":""}]}`, "{\"archive\":[{\"path\":\"/x\",\"json\":\"a\nb\"}]}", `{"archive":[{"path":"/x","json":"\q"}]}`, `{"a":tru,"archive":[]}`, `{"a":],"archive":[]}`} {
		if got, err := archived(strings.NewReader(wrong), false, "/x"); err == nil || !strings.HasPrefix(err.Error(), "not an archive of a JobManager: ") {
			t.Errorf("%s: %q, %v", wrong, slicesOf(got), err)
		}
	}
}

func slicesOf(m map[string][]byte) string { return fmt.Sprintf("%q", maps.Collect(maps.All(m))) }

func quoted(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEndOf: how a job ended, why, and with which savepoint.
func TestEndOf(t *testing.T) {
	overview := `{"jobs":[{"jid":"` + jobA + `","state":"FAILED"},{"jid":"` + jobB + `","state":"RUNNING"}]}`
	exceptions := `{"exceptionHistory":{"entries":[{"stacktrace":"a.B: outer\nCaused by: c.D: inner","timestamp":1}]}}`
	checkpoints := `{"history":[{"status":"COMPLETED","is_savepoint":true,"external_path":"file:/s/one","trigger_timestamp":1}]}`
	whole := archiveOf(t, "/jobs/overview", overview, "/jobs/"+jobA+"/exceptions", exceptions, "/jobs/"+jobA+"/checkpoints", checkpoints)
	want := jobstate.Archived{JobID: jobA, Status: jobstate.StFailed, Cause: "c.D: inner", Savepoint: "file:/s/one"}
	if got, err := EndOf(strings.NewReader(whole), jobA, "file:///s"); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	// What is too long to be read only lacks its detail.
	long := archiveOf(t, "/jobs/overview", overview, "/jobs/"+jobA+"/exceptions", strings.Repeat("x", maxArchived), "/jobs/"+jobA+"/checkpoints", "no JSON")
	if got, err := EndOf(strings.NewReader(long), jobA, ""); err != nil || got != (jobstate.Archived{JobID: jobA, Status: jobstate.StFailed}) {
		t.Errorf("%+v, %v", got, err)
	}
	for archive, want := range map[string]string{
		whole[:len(whole)-2]: "unexpected EOF", archiveOf(t): "the archive has no /jobs/overview", archiveOf(t, "/jobs/overview", `{"jobs":[]}`): "the archive has no job " + jobA,
		archiveOf(t, "/jobs/overview", `{"jobs":[{"jid":"`+jobA+`","state":"RUNNING"}]}`): "says that job " + jobA + " is RUNNING",
	} {
		if got, err := EndOf(strings.NewReader(archive), jobA, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %+v, %v, want %q", archive, got, err, want)
		}
	}
}

// TestLargeArchive: an archive of 256 MiB, one text of which has 128 MiB, costs the memory of what is wanted of it.
func TestLargeArchive(t *testing.T) {
	overview := `{"jobs":[{"jid":"` + jobA + `","state":"FINISHED"}]}`
	small := archiveOf(t, "/jobs/overview", overview)
	read := func() io.Reader {
		filler := func(size int64) io.Reader { return io.LimitReader(repeated{}, size) }
		return io.MultiReader(strings.NewReader(`{"archive":[{"path":"/jobs/x","json":"`), filler(128<<20), strings.NewReader(`"},{"json":"`), filler(128<<20),
			strings.NewReader(`","path":"/jobs/y"},`), strings.NewReader(strings.TrimPrefix(small, `{"archive":[`)))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	end, err := EndOf(read(), jobA, "")
	runtime.ReadMemStats(&after)
	if err != nil || end.Status != jobstate.StFinished {
		t.Errorf("%+v, %v", end, err)
	}
	// The text before whose path is not known yet is held up to its limit; the slice that holds it grows by doubling.
	if n := after.TotalAlloc - before.TotalAlloc; n > 7*maxArchived {
		t.Errorf("%d bytes were allocated", n)
	}
}

type repeated struct{}

func (repeated) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}
