package flinkrest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

const submitted = "0123456789abcdef0123456789abcdef"

// A session is a session cluster whose answers can be broken.
type session struct {
	mu      sync.Mutex
	jobs    []string
	uploads int
	runs    int
	fault   string // of the next run: "500", "nothing" (it takes the job and closes the connection), "refused before" (500, no job), "rejected"
	request map[string]any
}

func (s *session) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/jobs/overview":
		lines := []string{`{"jid":"ffffffffffffffffffffffffffffffff","state":"RUNNING"}`}
		for _, id := range s.jobs {
			lines = append(lines, fmt.Sprintf(`{"jid":%q,"state":"RUNNING"}`, id))
		}
		fmt.Fprintf(w, `{"jobs":[%s]}`, strings.Join(lines, ","))
	case r.URL.Path == "/jars":
		io.WriteString(w, `{"address":"x","files":[{"id":"a_other.jar","name":"other.jar"}`)
		if s.uploads > 0 {
			io.WriteString(w, `,{"id":"b_runner.jar","name":"runner.jar"}`)
		}
		io.WriteString(w, `]}`)
	case r.URL.Path == "/jars/upload":
		s.uploads++
		file, header, err := r.FormFile("jarfile")
		content := make([]byte, 10)
		if err == nil {
			n, _ := file.Read(content)
			content = content[:n]
		}
		if err != nil || header.Filename != "runner.jar" || header.Header.Get("Content-Type") != "application/x-java-archive" || string(content) != "x" || r.ContentLength <= 0 {
			http.Error(w, fmt.Sprint("not a jar: ", err), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, `{"filename":"/tmp/b_runner.jar","status":"success"}`)
	case r.URL.Path == "/jars/b_runner.jar/run":
		s.runs++
		json.NewDecoder(r.Body).Decode(&s.request)
		fault := s.fault
		s.fault = ""
		if fault == "rejected" {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"errors":["Could not execute application.","<Exception on server side:\nx.RestHandlerException: Could not execute application.\n\tat y\nCaused by: z.ValidationException: no table t\n\tat y\n"]}`)
			return
		}
		if fault != "refused before" {
			s.jobs = append(s.jobs, s.request["jobId"].(string))
		}
		switch fault {
		case "400 with the job": // Flink 2.2.1: our runner waits for a result that a web submission does not give
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"errors":["<Exception on server side:\nx.RestHandlerException: Could not execute application.\nCaused by: y.FlinkRuntimeException: The Job Result cannot be fetched through the Job Client when in Web Submission.\n"]}`)
		case "duplicate": // the answer of another try was lost
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"errors":["<Exception on server side:\nx.RestHandlerException: Could not execute application.\nCaused by: y.DuplicateJobSubmissionException: Job has already been submitted.\n"]}`)
		case "500", "refused before":
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, `{"errors":["Internal server error."]}`)
		case "nothing":
			panic(http.ErrAbortHandler)
		default:
			fmt.Fprintf(w, `{"jobid":%q}`, s.request["jobId"])
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestSubmit: whatever becomes of the answer, and however often it is tried, the cluster has the job once.
func TestSubmit(t *testing.T) {
	in := Submission{JobID: submitted, JarName: "runner.jar", Jar: Bytes([]byte("x")), MainClass: "a.Main", Arguments: []string{"run", "s", "i"}, Savepoint: "file:/s", AllowLost: true}
	for fault, firstFails := range map[string]bool{"": false, "500": false, "nothing": false, "400 with the job": false, "duplicate": false, "refused before": true} {
		t.Run(fault, func(t *testing.T) {
			s := &session{fault: fault}
			base, c := serve(t, s.ServeHTTP), New(nil)
			late, err := c.Submit(t.Context(), base, in)
			if want := fault == "400 with the job"; (late != nil) != want || want && late.Cause != "y.FlinkRuntimeException: The Job Result cannot be fetched through the Job Client when in Web Submission." {
				t.Errorf("late: %+v", late)
			}
			if (err != nil) != firstFails {
				t.Fatalf("the first try: %v", err)
			} else if _, rejected := errors.AsType[*Rejected](err); rejected {
				t.Fatalf("%v is taken for an answer that stays", err)
			}
			for range 2 {
				if late, err := c.Submit(t.Context(), base, in); err != nil || late != nil {
					t.Fatal(late, err)
				}
			}
			if len(s.jobs) != 1 || s.jobs[0] != submitted || s.uploads != 1 {
				t.Errorf("jobs %v, %d uploads", s.jobs, s.uploads)
			}
			if s.request["entryClass"] != "a.Main" || s.request["savepointPath"] != "file:/s" || s.request["allowNonRestoredState"] != true {
				t.Errorf("request %v", s.request)
			}
		})
	}
	t.Run("a main method with two jobs", func(t *testing.T) {
		s := &session{fault: "duplicate"}
		first := in
		first.First = true
		late, err := New(nil).Submit(t.Context(), serve(t, s.ServeHTTP), first)
		if want := "it starts a second job, and Flink starts one from one request: y.DuplicateJobSubmissionException: Job has already been submitted."; err != nil || late == nil || late.Cause != want {
			t.Errorf("%+v, %v, want %s", late, err, want)
		}
	})
	t.Run("a second job", func(t *testing.T) {
		s := &session{}
		base, c := serve(t, s.ServeHTTP), New(nil)
		for _, id := range []string{submitted, strings.Repeat("a", 32)} {
			in.JobID = id
			if _, err := c.Submit(t.Context(), base, in); err != nil {
				t.Fatal(err)
			}
		}
		if s.uploads != 1 || len(s.jobs) != 2 {
			t.Errorf("jobs %v, %d uploads, want one", s.jobs, s.uploads)
		}
	})
	t.Run("rejected", func(t *testing.T) {
		s := &session{fault: "rejected"}
		_, err := New(nil).Submit(t.Context(), serve(t, s.ServeHTTP), in)
		if r, ok := errors.AsType[*Rejected](err); !ok || r.Error() != "z.ValidationException: no table t" {
			t.Errorf("%v, want Flink's innermost cause", err)
		}
	})
	t.Run("not a JobManager", func(t *testing.T) {
		_, err := New(nil).Submit(t.Context(), serve(t, answer("application/json", `{}`, 404)), in)
		if err == nil || !IsNotFound(err) {
			t.Errorf("%v", err)
		}
	})
}
