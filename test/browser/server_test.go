//go:build browser

package browser

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// version of Flink.
const version = "2.2.1"

// A platform is a server that runs, and the program that is its client.
type platform struct {
	t       *testing.T
	url     string
	program string
	env     []string
	private map[string]string // what is of this machine, and what pictures show instead
}

// client is what asks a server at an address.
func client(t *testing.T, url string) *platform {
	p := &platform{t: t, url: url, program: served.Program(t), private: map[string]string{url: "http://127.0.0.1:8088"}}
	p.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "JAVA_HOME=" + os.Getenv("JAVA_HOME"), "FLINK_PLATFORM_SERVER=" + url}
	return p
}

// serve starts a server with a real Flink and a JVM ready for debug runs. At the end it stops the runs of the given jobs.
func serve(t *testing.T, jobs ...string) *platform {
	data, listen, home := filepath.Join(t.TempDir(), "data"), served.FreeAddress(t), homes.Home(t, version)
	p := client(t, "http://"+listen)
	p.private[data], p.private[home] = "/var/lib/flink-platform", "/opt/flink"
	server := exec.Command(p.program, "serve", "--data-dir", data, "--listen", listen, "--flink-home", home, "--entrypoint", world.Binary(t), "--warm", "1")
	server.Env, server.Stderr = p.env, t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, job := range jobs {
			if out, err := p.run("stop", job, "--wait"); err != nil {
				t.Logf("stop %s: %v: %s", job, err, out) // it may have no run
			}
		}
		// A run has ended before its cluster is deleted, and a server that ends leaves clusters alone.
		p.until("no process of a cluster is left", func() error { return served.NoneBelow(filepath.Join(data, "runs")) })
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	p.until("the server answers", func() error { _, err := p.run("health"); return err })
	return p
}

// until waits until f has no error any more.
func (p *platform) until(what string, f func() error) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("not after %s: %s: %v", patience, what, err)
		}
	}
}

// run executes the program as a client and returns its standard output.
func (p *platform) run(arguments ...string) (string, error) {
	c := exec.Command(p.program, arguments...)
	c.Env = p.env
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

// must runs what has to succeed.
func (p *platform) must(arguments ...string) string {
	p.t.Helper()
	out, err := p.run(arguments...)
	if err != nil {
		p.t.Fatalf("%v: %v\n%s", arguments, err, out)
	}
	return out
}

// file is a file with a text.
func (p *platform) file(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}
