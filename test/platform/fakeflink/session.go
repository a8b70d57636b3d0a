package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
)

// A session is a session cluster: its jobs do what their names say, as those of application clusters. The oracle calls each by its id.
type session struct {
	mu   sync.Mutex
	jar  string // the name of the uploaded one
	jobs map[string]*job
}

// jobName is the name of a job in the index of its script.
var jobName = regexp.MustCompile(`(?m)^conf\tpipeline\.name\t([a-z-]+)$`)

func (s *session) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	words := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/overview":
		io.WriteString(w, `{"flink-version":"2.2.1","taskmanagers":1,"slots-total":4,"slots-available":4}`)
	case r.URL.Path == "/jobs/overview":
		s.mu.Lock()
		lines := []string{}
		for id, j := range s.jobs {
			j.mu.Lock()
			lines = append(lines, fmt.Sprintf(`{"jid":%q,"name":"x","state":%q,"tasks":{"total":2,"running":2}}`, id, j.status))
			j.mu.Unlock()
		}
		s.mu.Unlock()
		fmt.Fprintf(w, `{"jobs":[%s]}`, strings.Join(lines, ","))
	case r.URL.Path == "/jars":
		s.mu.Lock()
		defer s.mu.Unlock()
		files := ""
		if s.jar != "" {
			files = fmt.Sprintf(`{"id":"1_%s","name":%[1]q}`, s.jar)
		}
		fmt.Fprintf(w, `{"address":"x","files":[%s]}`, files)
	case r.URL.Path == "/jars/upload":
		_, header, err := r.FormFile("jarfile")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.jar = header.Filename
		fmt.Fprintf(w, `{"filename":"/tmp/1_%s","status":"success"}`, s.jar)
	case words[0] == "jars" && len(words) == 3 && words[2] == "run":
		s.run(w, r)
	case words[0] == "jobs" && len(words) > 1:
		s.mu.Lock()
		j := s.jobs[words[1]]
		s.mu.Unlock()
		if j != nil {
			j.serve(w, r)
			return
		}
		fallthrough
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"errors":["Not found"]}`)
	}
}

// run takes a job. As in Flink, one of an id that it has already is refused.
func (s *session) run(w http.ResponseWriter, r *http.Request) {
	var in struct {
		JobID string   `json:"jobId"`
		Args  []string `json:"programArgsList"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Args) != 3 {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"errors":["%d arguments"]}`, len(in.Args))
		return
	}
	name := jobName.FindStringSubmatch(in.Args[2])
	s.mu.Lock()
	j := s.jobs[in.JobID]
	if j != nil || name == nil {
		s.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"errors":["<Exception on server side:\nx.RestHandlerException: Could not execute application.\nCaused by: y.DuplicateJobSubmissionException: Job has already been submitted.\n"]}`)
		return
	}
	j = &job{id: in.JobID, run: in.JobID, status: "RUNNING"}
	s.jobs[in.JobID] = j
	s.mu.Unlock()
	j.oracle("start")
	fmt.Fprintln(os.Stderr, "job", in.JobID, name[1])
	go j.live(name[1])
	fmt.Fprintf(w, `{"jobid":%q}`, in.JobID)
}
