//go:build kubelet

package kubelet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/test/cluster"
)

// observed is what the API server reported about the pods of a namespace, those that are gone too, and what they wrote.
type observed struct {
	w         *world
	namespace string

	mu     sync.Mutex
	pods   map[string]*observedPod
	logs   map[string]*os.File // stay readable when the kubelet has removed them
	failed error
}

// observedPod is the last version of a pod.
type observedPod struct {
	Metadata struct {
		Name, UID         string
		Labels            map[string]string
		CreationTimestamp time.Time
		OwnerReferences   []struct{ Kind, Name string }
	}
	Spec struct {
		NodeName, ServiceAccountName string
		Containers                   []struct{ Command, Args []string }
	}
	Status podStatus
	Gone   bool
}

// observe follows the pods of a namespace as long as the test.
func (w *world) observe(namespace string) *observed {
	w.Helper()
	o := &observed{w: w, namespace: namespace, pods: map[string]*observedPod{}, logs: map[string]*os.File{}}
	ctx, cancel := context.WithCancel(w.ctx)
	// Version 0 is whatever the server has, then all that follows.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, within(namespace, "v1", "Pod")+"?watch=true&resourceVersion=0", nil)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := w.node.api.client.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		w.Fatalf("watch the pods of %s: %s", namespace, res.Status)
	}
	done := make(chan struct{})
	w.Cleanup(func() {
		cancel()
		<-done
		res.Body.Close()
		if w.Failed() {
			w.Log(o.describe())
		}
		for _, f := range o.logs {
			f.Close()
		}
	})
	go func() {
		defer close(done)
		events := json.NewDecoder(res.Body)
		for {
			var event struct {
				Type   string
				Object json.RawMessage
			}
			var p observedPod
			err := events.Decode(&event)
			if ctx.Err() != nil {
				return
			}
			if err == nil && event.Type == "ERROR" {
				err = fmt.Errorf("%s", event.Object)
			}
			if err == nil {
				err = json.Unmarshal(event.Object, &p)
			}
			o.mu.Lock()
			if err != nil {
				o.failed = fmt.Errorf("the watch of %s's pods ended: %w", namespace, err)
				o.mu.Unlock()
				return
			}
			p.Gone = event.Type == "DELETED"
			o.pods[p.Metadata.Name] = &p
			o.openLogs()
			o.mu.Unlock()
		}
	}()
	return o
}

// openLogs opens the files that are new, to have what they will hold.
func (o *observed) openLogs() {
	files, _ := filepath.Glob(filepath.Join(o.w.node.dir, "logs", o.namespace+"_*", "*", "*.log"))
	for _, file := range files {
		if o.logs[file] == nil {
			if f, err := os.Open(file); err == nil {
				o.logs[file] = f
			}
		}
	}
}

// of returns the pods of a component, the oldest first.
func (o *observed) of(component string) []observedPod {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []observedPod
	for _, p := range o.pods {
		if p.Metadata.Labels["component"] == component {
			list = append(list, *p)
		}
	}
	slices.SortFunc(list, func(a, b observedPod) int {
		if c := a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp); c != 0 {
			return c
		}
		return strings.Compare(a.Metadata.Name, b.Metadata.Name)
	})
	return list
}

// log is what the containers of a pod have written until now, without what the container runtime adds to each line.
func (o *observed) log(pod string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.openLogs()
	var text strings.Builder
	for _, file := range slices.Sorted(maps.Keys(o.logs)) {
		if !strings.HasPrefix(file, filepath.Join(o.w.node.dir, "logs", o.namespace+"_"+pod+"_")) {
			continue
		}
		var b bytes.Buffer
		if st, err := o.logs[file].Stat(); err == nil {
			b.Grow(int(st.Size()))
		}
		content := make([]byte, 64<<10)
		for at := int64(0); ; {
			n, err := o.logs[file].ReadAt(content, at)
			b.Write(content[:n])
			if at += int64(n); err != nil {
				break
			}
		}
		for line := range strings.Lines(b.String()) {
			if words := strings.SplitN(line, " ", 4); len(words) == 4 { // time, stream, whether it is a whole line
				text.WriteString(words[3])
			}
		}
	}
	return text.String()
}

// until waits until f finds what it wants: nil, or an error that says what is missing.
func (o *observed) until(what string, f func() error) {
	o.w.Helper()
	begin := time.Now()
	err := o.w.node.poll(o.w.ctx, func() error {
		o.mu.Lock()
		failed := o.failed
		o.mu.Unlock()
		if failed != nil {
			return failed
		}
		if err := f(); err != nil {
			return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
		}
		return nil
	})
	if err != nil {
		o.w.Fatalf("%s: %v", what, err)
	}
	o.w.Logf("%s: %.1f s", what, time.Since(begin).Seconds())
}

// describe is what a user would look at.
func (o *observed) describe() string {
	var text strings.Builder
	o.mu.Lock()
	names := slices.Sorted(maps.Keys(o.pods))
	o.mu.Unlock()
	for _, name := range names {
		o.mu.Lock()
		status, _ := json.Marshal(o.pods[name].Status)
		o.mu.Unlock()
		lines := strings.Split(strings.TrimSpace(o.log(name)), "\n")
		fmt.Fprintf(&text, "--- %s %s\n%s\n", name, status, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
	return text.String()
}
