package client

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"flink-entrypoint/internal/platform/wire"
)

// TestFollowWaits: a follower waits for a server that is away, and says so once.
func TestFollowWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	said := 0
	c := &Client{Base: "http://" + address, Away: func(u *Unreachable) {
		said++
		l, err := net.Listen("tcp", address) // it is back
		if err != nil {
			t.Error(u, err)
			return
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "data: {\"id\": 7}\n\n") })}
		t.Cleanup(func() { server.Close() })
		go server.Serve(l)
	}}
	var got wire.Event
	if err := c.Follow(t.Context(), "clicks", 0, func(e wire.Event) bool { got = e; return false }); err != nil || got.ID != 7 || said != 1 {
		t.Errorf("%+v, %v, said %d times", got, err, said)
	}
}
