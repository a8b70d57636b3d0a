// Package apiserver is a small Kubernetes API: it keeps objects of any kind in memory, lists, watches, creates, replaces and
// deletes them, as much as Flink's client, its JobManager and the node of the suite need. What it does not know it refuses, and
// Refused tells it, so that a test cannot pass because a request was lost.
package apiserver

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Object is an object of Kubernetes, as JSON says it.
type Object = map[string]any

// Event is a change that watchers see.
type Event struct {
	Type   string `json:"type"` // ADDED, MODIFIED, DELETED
	Object Object `json:"object"`

	resource, namespace string
}

// Server answers requests. Its zero value is ready.
type Server struct {
	mu      sync.Mutex
	events  []Event // all that ever happened; the version of the object in events[i] is i+1
	changed chan struct{}
	objects map[string]Object // by resource/namespace/name
	refused []string
}

// Get returns an object, or nil.
func (s *Server) Get(resource, namespace, name string) Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[resource+"/"+namespace+"/"+name]
}

// List returns the objects of a resource, in the order of their names.
func (s *Server) List(resource, namespace string) []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Object
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if strings.HasPrefix(key, resource+"/"+namespace+"/") {
			list = append(list, s.objects[key])
		}
	}
	return list
}

// Put creates or replaces an object, and returns it as it is kept.
func (s *Server) Put(resource, namespace string, object Object) Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(resource, namespace, object)
}

// Delete removes an object and what it owns. It reports whether there was one.
func (s *Server) Delete(resource, namespace, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(resource + "/" + namespace + "/" + name)
}

// Refused lists the requests that got an answer which says that this server cannot do that.
func (s *Server) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// Next returns the event that follows the first n of a resource, or a channel that is closed when there may be one.
func (s *Server) Next(resource, namespace string, n int) (event Event, next int, wait <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := n; i < len(s.events); i++ {
		if e := s.events[i]; e.resource == resource && e.namespace == namespace {
			return e, i + 1, nil
		}
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return Event{}, len(s.events), s.changed
}

// put keeps a copy, as an object that was given away must not change.
func (s *Server) put(resource, namespace string, object Object) Object {
	object = clone(object)
	meta, _ := object["metadata"].(Object)
	if meta == nil {
		meta = Object{}
		object["metadata"] = meta
	}
	key := resource + "/" + namespace + "/" + text(meta, "name")
	old := s.objects[key]
	kind := "ADDED"
	meta["namespace"] = namespace
	if old != nil {
		kind = "MODIFIED"
		meta["uid"] = old["metadata"].(Object)["uid"]
		meta["creationTimestamp"] = old["metadata"].(Object)["creationTimestamp"]
	} else {
		meta["uid"] = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.events)+1)
		meta["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
	}
	if s.objects == nil {
		s.objects = map[string]Object{}
	}
	s.objects[key] = object
	s.happened(Event{Type: kind, Object: object, resource: resource, namespace: namespace})
	return object
}

func (s *Server) remove(key string) bool {
	object := s.objects[key]
	if object == nil {
		return false
	}
	delete(s.objects, key)
	resource, rest, _ := strings.Cut(key, "/")
	namespace, _, _ := strings.Cut(rest, "/")
	s.happened(Event{Type: "DELETED", Object: clone(object), resource: resource, namespace: namespace})
	uid := text(object["metadata"].(Object), "uid")
	for _, other := range slices.Sorted(maps.Keys(s.objects)) {
		owned := s.objects[other]
		if owned == nil { // removed with another one
			continue
		}
		owners, _ := owned["metadata"].(Object)["ownerReferences"].([]any)
		for _, o := range owners {
			if owner, _ := o.(Object); text(owner, "uid") == uid {
				s.remove(other)
			}
		}
	}
	return true
}

// happened appends to the history. The version of an object is its event's place there.
func (s *Server) happened(e Event) {
	e.Object["metadata"].(Object)["resourceVersion"] = strconv.Itoa(len(s.events) + 1)
	s.events = append(s.events, e)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// request is where a request goes.
type request struct {
	resource, namespace, name string
}

// parse reads /api/v1/namespaces/N/RESOURCE[/NAME] and /apis/GROUP/VERSION/namespaces/N/RESOURCE[/NAME].
func parse(path string) (r request, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return r, false
	}
	if len(parts) < 3 || len(parts) > 4 || parts[0] != "namespaces" {
		return r, false
	}
	r.namespace, r.resource = parts[1], parts[2]
	if len(parts) == 4 {
		r.name = parts[3]
	}
	return r, true
}

// ServeHTTP answers as a Kubernetes API does.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r, ok := parse(req.URL.Path)
	if !ok {
		s.refuse(w, req, http.StatusNotFound)
		return
	}
	if req.Header.Get("Upgrade") != "" {
		// As a proxy that does not know WebSockets answers: Flink's client then reads the same events from an HTTP answer. After a 503 it
		// would ask for a WebSocket again, for 18 s.
		status(w, http.StatusOK, "no WebSocket here")
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		status(w, http.StatusBadRequest, err.Error())
		return
	}
	var object Object
	if len(body) > 0 {
		if err := json.Unmarshal(body, &object); err != nil {
			status(w, http.StatusBadRequest, fmt.Sprintf("%v in %.200s", err, body))
			return
		}
	}
	switch {
	case req.Method == http.MethodGet && req.URL.Query().Get("watch") != "" && req.URL.Query().Get("watch") != "false":
		s.watch(w, req, r)
	case req.Method == http.MethodGet && r.name == "":
		s.list(w, req, r)
	case req.Method == http.MethodGet:
		if object := s.Get(r.resource, r.namespace, r.name); object != nil {
			answer(w, http.StatusOK, object)
			return
		}
		status(w, http.StatusNotFound, fmt.Sprintf("%s %q not found", r.resource, r.name))
	case req.Method == http.MethodPost && r.name == "":
		s.create(w, r, object)
	case req.Method == http.MethodPut && r.name != "":
		if s.Get(r.resource, r.namespace, r.name) == nil {
			status(w, http.StatusNotFound, fmt.Sprintf("%s %q not found", r.resource, r.name))
			return
		}
		answer(w, http.StatusOK, s.Put(r.resource, r.namespace, object))
	case req.Method == http.MethodDelete && r.name != "":
		if !s.Delete(r.resource, r.namespace, r.name) {
			status(w, http.StatusNotFound, fmt.Sprintf("%s %q not found", r.resource, r.name))
			return
		}
		status(w, http.StatusOK, "")
	case req.Method == http.MethodDelete:
		matches := selector(req)
		for _, object := range s.List(r.resource, r.namespace) {
			if matches(object) {
				s.Delete(r.resource, r.namespace, text(object["metadata"].(Object), "name"))
			}
		}
		status(w, http.StatusOK, "")
	default:
		s.refuse(w, req, http.StatusMethodNotAllowed)
	}
}

func (s *Server) create(w http.ResponseWriter, r request, object Object) {
	meta, _ := object["metadata"].(Object)
	name := text(meta, "name")
	if name == "" {
		status(w, http.StatusUnprocessableEntity, r.resource+": metadata.name is missing")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[r.resource+"/"+r.namespace+"/"+name] != nil {
		status(w, http.StatusConflict, fmt.Sprintf("%s %q already exists", r.resource, name))
		return
	}
	created := s.put(r.resource, r.namespace, object)
	answer(w, http.StatusCreated, created)
	if owners, _ := meta["ownerReferences"].([]any); len(owners) > 0 && !slices.ContainsFunc(owners, s.exists) {
		s.remove(r.resource + "/" + r.namespace + "/" + name) // its owner was deleted a moment ago
	}
}

func (s *Server) exists(reference any) bool {
	owner, _ := reference.(Object)
	for _, object := range s.objects {
		if text(object["metadata"].(Object), "uid") == text(owner, "uid") {
			return true
		}
	}
	return false
}

func (s *Server) list(w http.ResponseWriter, req *http.Request, r request) {
	matches := selector(req)
	s.mu.Lock()
	version := len(s.events)
	s.mu.Unlock()
	items := []Object{}
	for _, object := range s.List(r.resource, r.namespace) {
		if matches(object) {
			items = append(items, object)
		}
	}
	answer(w, http.StatusOK, Object{"kind": "List", "apiVersion": "v1", "metadata": Object{"resourceVersion": strconv.Itoa(version)}, "items": items})
}

// watch streams what happens after a version, one event a line, until the client goes or its timeout is over.
func (s *Server) watch(w http.ResponseWriter, req *http.Request, r request) {
	matches := selector(req)
	n, err := strconv.Atoi(req.URL.Query().Get("resourceVersion"))
	if err != nil || n == 0 { // what there is comes first
		n = 0
	}
	var end <-chan time.Time
	if seconds, err := strconv.Atoi(req.URL.Query().Get("timeoutSeconds")); err == nil {
		end = time.After(time.Duration(seconds) * time.Second)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	for {
		_ = flush()
		event, next, wait := s.Next(r.resource, r.namespace, n)
		n = next
		if wait == nil {
			if matches(event.Object) && json.NewEncoder(w).Encode(event) != nil {
				return
			}
			continue
		}
		select {
		case <-wait:
		case <-end:
			return
		case <-req.Context().Done():
			return
		}
	}
}

// selector returns what a request selects by labels (a=b,c in (d,e)) and by metadata.name.
func selector(req *http.Request) func(Object) bool {
	wanted := map[string][]string{}
	for _, term := range terms(req.URL.Query().Get("labelSelector")) {
		if key, values, ok := strings.Cut(term, " in "); ok {
			for _, v := range strings.Split(strings.Trim(strings.TrimSpace(values), "()"), ",") {
				wanted[strings.TrimSpace(key)] = append(wanted[strings.TrimSpace(key)], strings.TrimSpace(v))
			}
		} else if key, value, ok := strings.Cut(term, "="); ok {
			wanted[key] = []string{strings.TrimPrefix(value, "=")}
		}
	}
	name, byName := strings.CutPrefix(req.URL.Query().Get("fieldSelector"), "metadata.name=")
	return func(object Object) bool {
		meta, _ := object["metadata"].(Object)
		if byName && text(meta, "name") != name {
			return false
		}
		labels, _ := meta["labels"].(Object)
		for key, values := range wanted {
			if !slices.Contains(values, text(labels, key)) {
				return false
			}
		}
		return true
	}
}

// terms splits at the commas outside of parentheses.
func terms(selector string) []string {
	depth := 0
	return strings.FieldsFunc(selector, func(c rune) bool {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		return c == ',' && depth == 0
	})
}

func (s *Server) refuse(w http.ResponseWriter, req *http.Request, code int) {
	s.mu.Lock()
	s.refused = append(s.refused, req.Method+" "+req.URL.RequestURI())
	s.mu.Unlock()
	status(w, code, "this API has no "+req.Method+" "+req.URL.Path)
}

// status answers with an object of the kind Status.
func status(w http.ResponseWriter, code int, message string) {
	reasons := map[int]string{http.StatusNotFound: "NotFound", http.StatusConflict: "AlreadyExists"}
	result := "Success"
	if code >= 300 {
		result = "Failure"
	}
	answer(w, code, Object{"kind": "Status", "apiVersion": "v1", "metadata": Object{}, "status": result, "message": message, "reason": reasons[code], "code": code})
}

func answer(w http.ResponseWriter, code int, object Object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object)
}

func text(object Object, key string) string {
	v, _ := object[key].(string)
	return v
}

// clone copies by JSON, so that an object made in Go is as one that was sent.
func clone(object Object) (c Object) {
	b, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		panic(err) // objects are made of JSON's types only
	}
	return c
}
