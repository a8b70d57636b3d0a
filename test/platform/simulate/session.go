package simulate

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// A Session is what a simulated session cluster has and was asked. It is the field of a [Cluster].
type Session struct {
	Jobs    map[string]string // statuses, by id
	Polls   int               // requests for all jobs
	Uploads int
	Runs    []map[string]any // requests to run a jar, whose id is the field jar
	Reject  string           // what the main method of the next jobs throws
	Late    string           // the same, after the cluster took the job
	Slow    chan struct{}    // not nil: the main method of a job waits until it is closed, and submits then
	Away    bool             // its TaskManager has not registered
}

// session is the REST API of a session cluster. The lock of the world is held.
func (w *World) session(rw http.ResponseWriter, r *http.Request, c *Cluster, rest string) {
	s := &c.Session
	job, _, _ := strings.Cut(strings.TrimPrefix(rest, "jobs/"), "/")
	switch {
	case rest == "overview":
		fmt.Fprintf(rw, `{"flink-version":"2.2.1","taskmanagers":%d}`, map[bool]int{true: 0, false: 1}[s.Away || c.lost("taskmanager-1")])
	case rest == "jobs/overview":
		s.Polls++
		lines := []string{}
		for id, status := range s.Jobs {
			lines = append(lines, fmt.Sprintf(`{"jid":%q,"state":%q,"tasks":{"total":1,"running":1}}`, id, status))
		}
		fmt.Fprintf(rw, `{"jobs":[%s]}`, strings.Join(lines, ","))
	case rest == "jars":
		var names []string
		for _, jar := range c.jars {
			names = append(names, fmt.Sprintf(`{"id":"1_%s","name":%[1]q}`, jar))
		}
		fmt.Fprintf(rw, `{"address":"x","files":[%s]}`, strings.Join(names, ","))
	case rest == "jars/upload":
		s.Uploads++
		body, _ := io.ReadAll(r.Body)
		_, jar, _ := strings.Cut(string(body[:min(len(body), 1000)]), `filename="`)
		jar, _, _ = strings.Cut(jar, `"`)
		c.jars = append(c.jars, jar)
		fmt.Fprintf(rw, `{"filename":"/tmp/1_%s","status":"success"}`, jar)
	case strings.HasPrefix(rest, "jars/") && strings.HasSuffix(rest, "/run"):
		var in map[string]any
		json.NewDecoder(r.Body).Decode(&in)
		in["jar"] = strings.Split(rest, "/")[1]
		s.Runs = append(s.Runs, in)
		if slow := s.Slow; slow != nil {
			w.Mu.Unlock()
			<-slow
			w.Mu.Lock()
		}
		if s.Reject != "" {
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(rw, `{"errors":["Could not execute application.","<Exception on server side:\nx.RestHandlerException: Could not execute application.\nCaused by: %s\n"]}`, s.Reject)
			return
		}
		if s.Jobs == nil {
			s.Jobs = map[string]string{}
		}
		s.Jobs[in["jobId"].(string)] = "RUNNING"
		if s.Late != "" {
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(rw, `{"errors":["<Exception on server side:\nx.RestHandlerException: Could not execute application.\nCaused by: %s\n"]}`, s.Late)
			return
		}
		fmt.Fprintf(rw, `{"jobid":%q}`, in["jobId"])
	case r.Method == http.MethodPatch && s.Jobs[job] != "":
		s.Jobs[job] = "CANCELED"
		io.WriteString(rw, `{}`)
	default:
		rw.WriteHeader(http.StatusNotFound)
		io.WriteString(rw, `{"errors":["Not found"]}`)
	}
}
