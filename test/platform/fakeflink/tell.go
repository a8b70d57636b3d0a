package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/recorded"
)

// attempt is this process as the status listener names it.
func attempt() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return ""
	}
	words := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return fmt.Sprintf("%.8s-%d-%s", boot, os.Getpid(), words[19])
}

// tell reports a status as the listener of Flink 2.x does, and the archive of a job that has ended. It gives up after some seconds, as they do.
func (j *job) tell(sequence int64, status string) {
	push, err := json.Marshal(wire.Push{Run: j.run, Attempt: attempt(), Sequence: sequence, JobID: j.id, Status: status})
	events := flag("--events-url")
	if err == nil {
		err = send(http.MethodPost, events, push)
	}
	if err == nil && status == "FINISHED" {
		err = send(http.MethodPut, strings.TrimSuffix(events, "/v1/flink-events")+"/v1/runs/"+j.run+"/archive/"+j.id, recorded.Archive("2.2.1", recorded.Finished, j.id))
	}
	if err != nil {
		fmt.Println("not reported:", err)
	}
}

func send(method, url string, body []byte) error {
	var last error
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		token, err := os.ReadFile(flag("--events-token-file"))
		if err != nil {
			return err
		}
		req, err := http.NewRequest(method, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < 300 {
				return nil
			}
			err = errors.New(resp.Status)
		}
		last = err
	}
	return last
}

// first reports whether this run is the first of its job that came so far.
func (j *job) first() bool {
	path := filepath.Join(os.Getenv("FLINK_HOME"), "first")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		f.WriteString(j.run)
		f.Close()
		return true
	}
	b, _ := os.ReadFile(path)
	return string(b) == j.run
}
