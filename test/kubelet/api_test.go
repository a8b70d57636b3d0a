//go:build kubelet

package kubelet

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"flink-entrypoint/test/cluster"
)

// api is a client of the API server.
type api struct{ client http.Client }

func newAPI() *api {
	// The server made its certificate itself, in the same namespace a moment ago.
	return &api{http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
}

// do sends a request with body as JSON (nil: none) and decodes the answer into into (nil: not).
func (a *api) do(ctx context.Context, method, url string, body, into any) (status int, err error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, text)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode >= 300 {
		return res.StatusCode, fmt.Errorf("%s %s: %s\n%.4000s", method, url, res.Status, answer)
	}
	if into != nil {
		return res.StatusCode, json.Unmarshal(answer, into)
	}
	return res.StatusCode, nil
}

// healthy asks a server whether it is.
func (a *api) healthy(ctx context.Context, url string) error {
	if status, err := a.do(ctx, http.MethodGet, url, nil, nil); err != nil {
		return fmt.Errorf("%w: %d: %w", cluster.ErrNotYet, status, err)
	}
	return nil
}

// collection is where objects of this version and kind are, in the namespace default.
func collection(version, kind string) string { return within("default", version, kind) }

// within is where objects of this version and kind are in a namespace.
func within(namespace, version, kind string) string {
	group := "/apis/" + version
	if !strings.Contains(version, "/") {
		group = "/api/" + version
	}
	resource := strings.ToLower(kind) + "s"
	if stem, ok := strings.CutSuffix(resource, "ys"); ok {
		resource = stem + "ies" // NetworkPolicy
	}
	return server + group + "/namespaces/" + namespace + "/" + resource
}

type conditions []struct{ Type, Status, Reason, Message string }

func (c conditions) ready() bool {
	for _, one := range c {
		if one.Type == "Ready" {
			return one.Status == "True"
		}
	}
	return false
}

// ready tells whether the kubelet has registered the node and finds it ready.
func (n *node) ready(ctx context.Context) error {
	var answer struct {
		Status struct{ Conditions conditions }
	}
	if _, err := n.api.do(ctx, http.MethodGet, server+"/api/v1/nodes/"+nodeName, nil, &answer); err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	}
	if !answer.Status.Conditions.ready() {
		return fmt.Errorf("%w: the node is not ready: %+v", cluster.ErrNotYet, answer.Status.Conditions)
	}
	return nil
}

// podStatus is what the kubelet says of a pod.
type podStatus struct {
	Phase, Reason, Message string
	PodIP                  string
	Conditions             conditions
	ContainerStatuses      []containerStatus
	InitContainerStatuses  []containerStatus
}

type containerStatus struct {
	Name             string
	Ready            bool
	Started          *bool
	RestartCount     int
	State, LastState struct {
		Waiting    *struct{ Reason, Message string }
		Terminated *terminated
	}
}

type terminated struct {
	ExitCode        int
	Reason, Message string
}

// ended returns how the container last ended, nil if it has not.
func (c *containerStatus) ended() *terminated {
	if c.State.Terminated != nil {
		return c.State.Terminated
	}
	return c.LastState.Terminated
}
