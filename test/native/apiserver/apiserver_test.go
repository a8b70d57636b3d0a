package apiserver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const pods = "/api/v1/namespaces/default/pods"

// call sends a request and returns the code and the object of the answer.
func call(t *testing.T, base, method, path, body string) (int, Object) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var object Object
	if err := json.Unmarshal(answer, &object); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
	return res.StatusCode, object
}

func serve(t *testing.T) (*Server, string) {
	s := &Server{}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

func TestObjects(t *testing.T) {
	s, url := serve(t)
	for _, tt := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", pods, `{"metadata":{"name":"a","labels":{"app":"x","type":"t"}}}`, 201},
		{"POST", pods, `{"metadata":{"name":"a"}}`, 409},
		{"POST", pods, `{"metadata":{"name":"b","labels":{"app":"y"}}}`, 201},
		{"POST", pods, `{}`, 422},
		{"POST", pods, `[`, 400},
		{"GET", pods + "/a", "", 200},
		{"GET", pods + "/c", "", 404},
		{"PUT", pods + "/a", `{"metadata":{"name":"a","labels":{"app":"x"}},"spec":{"n":1}}`, 200},
		{"PUT", pods + "/c", `{"metadata":{"name":"c"}}`, 404},
		{"GET", "/apis/apps/v1/namespaces/default/deployments/a", "", 404},
		{"DELETE", pods + "/c", "", 404},
		{"PATCH", pods + "/a", `{}`, 405},
		{"GET", "/version", "", 404},
	} {
		if code, object := call(t, url, tt.method, tt.path, tt.body); code != tt.code {
			t.Errorf("%s %s %s: %d %v, want %d", tt.method, tt.path, tt.body, code, object, tt.code)
		}
	}
	if got := strings.Join(s.Refused(), ", "); got != "PATCH "+pods+"/a, GET /version" {
		t.Errorf("refused: %s", got)
	}
	for query, want := range map[string]string{"": "a b", "?labelSelector=app%3Dx": "a", "?labelSelector=app%20in%20(x,y)": "a b", "?labelSelector=app%3Dx,type%3Dt": "", "?fieldSelector=metadata.name%3Db": "b"} {
		_, list := call(t, url, "GET", pods+query, "")
		var names []string
		for _, item := range list["items"].([]any) {
			names = append(names, item.(Object)["metadata"].(Object)["name"].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("GET %s: %s, want %s", query, got, want)
		}
	}
}

// TestDeleteTakesWhatIsOwned: with a deployment go the pods that name it as their owner, those that come too late as well, as Kubernetes' garbage collection does it.
func TestDeleteTakesWhatIsOwned(t *testing.T) {
	s, url := serve(t)
	owner := s.Put("deployments", "default", Object{"metadata": Object{"name": "demo"}})
	uid := owner["metadata"].(Object)["uid"]
	s.Put("pods", "default", Object{"metadata": Object{"name": "tm", "ownerReferences": []any{Object{"uid": uid}}}})
	s.Put("pods", "default", Object{"metadata": Object{"name": "other"}})
	if code, _ := call(t, url, "DELETE", "/apis/apps/v1/namespaces/default/deployments/demo", ""); code != 200 {
		t.Fatalf("DELETE: %d", code)
	}
	if code, _ := call(t, url, "POST", pods, `{"metadata":{"name":"late","ownerReferences":[{"uid":"`+uid.(string)+`"}]}}`); code != 201 {
		t.Fatalf("POST of a pod whose owner was deleted: %d", code)
	}
	if left := s.List("pods", "default"); len(left) != 1 || left[0]["metadata"].(Object)["name"] != "other" {
		t.Errorf("left: %v", left)
	}
}

// TestWatch: a watch shows what happened after the version that it names, and what happens while it is open.
func TestWatch(t *testing.T) {
	s, url := serve(t)
	s.Put("pods", "default", Object{"metadata": Object{"name": "before", "labels": Object{"app": "x"}}})
	_, list := call(t, url, "GET", pods, "")
	version := list["metadata"].(Object)["resourceVersion"].(string)
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+pods+"?watch=true&labelSelector=app%3Dx&resourceVersion="+version, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	s.Put("pods", "default", Object{"metadata": Object{"name": "hidden", "labels": Object{"app": "y"}}})
	s.Put("services", "default", Object{"metadata": Object{"name": "hidden", "labels": Object{"app": "x"}}})
	s.Put("pods", "default", Object{"metadata": Object{"name": "p", "labels": Object{"app": "x"}}})
	s.Put("pods", "default", Object{"metadata": Object{"name": "p", "labels": Object{"app": "x"}}, "status": Object{"phase": "Running"}})
	s.Delete("pods", "default", "p")
	lines := json.NewDecoder(res.Body)
	for _, want := range []string{"ADDED p", "MODIFIED p", "DELETED p"} {
		var e Event
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if got := e.Type + " " + e.Object["metadata"].(Object)["name"].(string); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
