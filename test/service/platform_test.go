package service

import (
	"testing"

	"flink-entrypoint/test/platform/served"
)

// TestPlatformAnswersAsDescribed: a real flink-platform answers as the example of this package does, at the path of a version.
func TestPlatformAnswersAsDescribed(t *testing.T) {
	p := served.Start(t, served.Options{Auth: true})
	for path, content := range map[string][]byte{"/v1/jobs/clicks": []byte(definition), "/v1/jobs/session": []byte(`{"apiVersion": "flink-entrypoint/v1", "name": "session"}`),
		"/v1/artifacts/udf-1.2.jar": jar, "/v1/artifacts/data.csv": []byte("a,b\n")} {
		p.Put(t, path, content)
	}
	g := target{url: p.URL, token: p.Token, definition: func(id string) string { return "/v1/jobs/" + id + "/versions/1" }, artifacts: "/v1/artifacts/", unknown: `unknown job "nothing"`}
	contract(t, g)
	t.Run("client", func(t *testing.T) { fetches(t, g) })
}
