// Command fakeflink replaces flink-entrypoint and Flink in tests that start thousands of clusters: real processes that answer the REST
// API as a JobManager does, for as long as the job's name says, and write what they do to FLINK_HOME/oracle. That file is the truth that
// tests compare the platform with.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// flag is the value after a word, or after "word=".
func flag(word string) string {
	for i, a := range os.Args {
		if v, ok := strings.CutPrefix(a, word+"="); ok {
			return v
		}
		if a == word && i+1 < len(os.Args) {
			return os.Args[i+1]
		}
	}
	return ""
}

func main() {
	run := filepath.Base(filepath.Dir(filepath.Dir(flag("--run-dir"))))
	if slices.Contains(os.Args, "taskmanager") {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		<-end
		os.Exit(143)
	}
	name, err := nameOf(flag("--definition"), flag("--definition-token-file"))
	if err != nil {
		// As the entrypoint does when the service is away for longer than --fetch-timeout.
		os.WriteFile(flag("--termination-log"), []byte(err.Error()), 0o600)
		os.Exit(21)
	}
	if name == "refused" {
		os.WriteFile(flag("--termination-log"), []byte("definition invalid"), 0o600)
		os.Exit(22)
	}
	j := &job{id: flag("--job-id"), run: run, status: "RUNNING", exits: true}
	if j.id == "" {
		j.id = "0123456789abcdef0123456789abcdef"
	}
	j.oracle("start")
	if slices.Contains(os.Args, "jobmanager") {
		http.Handle("/", &session{jobs: map[string]*job{}})
	} else {
		http.HandleFunc("/", j.serve)
	}
	port := flag("-Drest.port")
	if _, after, ok := strings.Cut(os.Getenv("FLINK_PROPERTIES"), "rest.port: "); ok { // a session cluster's
		port, _, _ = strings.Cut(after, "\n")
	}
	go http.ListenAndServe("127.0.0.1:"+port, nil)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		j.oracle("terminated")
		os.Exit(143)
	}()
	j.live(name)
	select {}
}

// live is what becomes of a job of a name.
func (j *job) live(name string) {
	switch name {
	case "finishes", "session-finishes":
		time.Sleep(1500 * time.Millisecond)
		j.end("FINISHED", 0)
	case "restarts": // the run after it, which the restart policy makes, finishes
		time.Sleep(1500 * time.Millisecond)
		if j.first() {
			j.end("FAILED", 163)
		}
		j.end("FINISHED", 0)
	case "tells":
		j.tells = true
		j.tell(1, "RUNNING")
		time.Sleep(1500 * time.Millisecond)
		j.end("FINISHED", 0)
	case "fails":
		time.Sleep(1500 * time.Millisecond)
		j.end("FAILED", 163)
	case "crashes":
		time.Sleep(time.Second)
		j.oracle("end CRASHED")
		os.Exit(137)
	}
}

// nameForm is the name in a definition, in YAML or JSON.
var nameForm = regexp.MustCompile(`(?m)(?:^name: |^\{"apiVersion":"[^"]*","name":")([a-z-]+)`)

// nameOf asks for the definition until it comes, as the entrypoint does.
func nameOf(url, tokenFile string) (string, error) {
	var last error
	for range 600 {
		token, err := os.ReadFile(tokenFile)
		if err != nil {
			return "", err
		}
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			last = err
			time.Sleep(100 * time.Millisecond)
			continue
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return "", fmt.Errorf("the definition is answered %s", resp.Status)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return "", err
		}
		if m := nameForm.FindSubmatch(b); m != nil {
			return string(m[1]), nil
		}
		return "", fmt.Errorf("no name in the definition")
	}
	return "", last
}

type job struct {
	id, run string // run: what the oracle calls it
	exits   bool   // the process ends with the job
	mu      sync.Mutex
	status  string
	save    string // directory of the savepoint
	tells   bool   // it tells the platform of its end
}

// oracle adds a line to the file of what happened.
func (j *job) oracle(what string) {
	f, err := os.OpenFile(filepath.Join(os.Getenv("FLINK_HOME"), "oracle"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprintf(f, "%s %s %d %s\n", j.run, j.id, os.Getpid(), what)
	f.Close()
}

// end ends the job as Flink does: the status first, the process a little later.
func (j *job) end(status string, code int) {
	j.mu.Lock()
	if j.status != "RUNNING" {
		j.mu.Unlock()
		if !j.exits {
			return
		}
		select {} // another end is on its way
	}
	j.status = status
	j.mu.Unlock()
	j.oracle("end " + status)
	if !j.exits {
		return
	}
	if j.tells {
		j.tell(2, status)
	}
	time.Sleep(700 * time.Millisecond)
	os.Exit(code)
}

func (j *job) serve(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	status, save := j.status, j.save
	j.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Path
	switch {
	case path == "/jobs/overview":
		fmt.Fprintf(w, `{"jobs":[{"jid":%q,"name":"x","state":%q,"tasks":{"total":2,"running":2}}]}`, j.id, status)
	case r.Method == http.MethodPatch:
		go j.end("CANCELED", 0)
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "{}")
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/stop"):
		body, _ := io.ReadAll(r.Body)
		_, dir, _ := strings.Cut(string(body), `"targetDirectory":"file:`)
		dir, _, _ = strings.Cut(dir, `"`)
		j.mu.Lock()
		first := j.save == ""
		j.save = filepath.Join(dir, "savepoint-1")
		j.mu.Unlock()
		os.MkdirAll(filepath.Join(dir, "savepoint-1"), 0o700)
		os.WriteFile(filepath.Join(dir, "savepoint-1", "_metadata"), nil, 0o600)
		if first {
			j.oracle("savepoint")
			go func() {
				time.Sleep(200 * time.Millisecond)
				j.end("FINISHED", 0)
			}()
		}
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"request-id":"x"}`)
	case strings.Contains(path, "/savepoints/") && save != "":
		fmt.Fprintf(w, `{"status":{"id":"COMPLETED"},"operation":{"location":"file:%s"}}`, save)
	case strings.HasSuffix(path, "/exceptions"):
		io.WriteString(w, `{"exceptionHistory":{"entries":[{"exceptionName":"x","stacktrace":"a.B: wrapper\nCaused by: java.lang.ArithmeticException: / by zero","timestamp":1}]}}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"errors":["Not found"]}`)
	}
}
