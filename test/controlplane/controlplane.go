//go:build kubernetes

// Package controlplane starts the part of Kubernetes that has no nodes: etcd, API server and controllers, as processes on the loopback interface. What
// a kubelet would say of pods the tests write themselves; test/kubelet has a whole node.
package controlplane

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"flink-entrypoint/test/freeport"
)

// A Server is a running control plane.
type Server struct {
	URL string // of the API server

	t       testing.TB
	dir     string
	bin     string // of Kubernetes
	debian  string
	port    int
	etcd    string // URL
	apis    *process
	others  []*process
	client  *http.Client
	started int
}

// adminToken need not be secret: the server listens on loopback, for the time of a test.
const adminToken = "the-test"

type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// Start starts a control plane that ends with the test. Its programs are built once, which takes a quarter of an hour of CPU.
func Start(t testing.TB) *Server {
	t.Helper()
	cache := os.Getenv("FLINK_ENTRYPOINT_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(base, "flink-entrypoint")
	}
	base := filepath.Join(cache, "kubelet")
	prepare := exec.CommandContext(t.Context(), filepath.Join(project(t), "test", "kubelet", "prepare.sh"), base, "kube-apiserver", "kube-controller-manager")
	prepare.Stderr = os.Stderr
	if err := prepare.Run(); err != nil {
		t.Fatalf("prepare.sh: %v", err)
	}
	ports := freePorts(t, 3)
	s := &Server{t: t, dir: t.TempDir(), bin: filepath.Join(base, "kubernetes"), debian: filepath.Join(base, "debian", "usr", "bin"), port: ports[0],
		URL:  "https://127.0.0.1:" + strconv.Itoa(ports[0]),
		etcd: "http://127.0.0.1:" + strconv.Itoa(ports[1]),
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true, // the server makes its certificate itself; this is a test on loopback
		}}},
	}
	t.Cleanup(s.stop)
	s.writeKeys()
	peers := "http://127.0.0.1:" + strconv.Itoa(ports[2])
	s.others = append(s.others, s.run("etcd", filepath.Join(s.debian, "etcd"), "--data-dir", filepath.Join(s.dir, "etcd"), "--listen-client-urls", s.etcd, "--advertise-client-urls", s.etcd,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers))
	s.await("etcd", func() error { return s.get(s.etcd + "/health") })
	s.StartAPI()
	s.others = append(s.others, s.run("controllers", filepath.Join(s.bin, "kube-controller-manager"), "--kubeconfig", s.Kubeconfig("admin", adminToken, "default"), "--leader-elect=false", "--bind-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(freePorts(t, 1)[0]), "--service-account-private-key-file", filepath.Join(s.dir, "key.pem"), "--root-ca-file", filepath.Join(s.dir, "pki", "apiserver.crt"), "--use-service-account-credentials"))
	s.await("controllers", func() error { return s.get(s.URL + "/api/v1/namespaces/default/serviceaccounts/default") })
	return s
}

// project is the folder with go.mod: a test begins in the folder of its package.
func project(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			err = os.ErrNotExist
		}
	}
	t.Fatalf("go.mod: %v", err)
	return ""
}

func freePorts(t testing.TB, n int) []int {
	t.Helper()
	ports, err := freeport.Ports(n)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

func (s *Server) writeKeys() {
	s.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"key.pem":    pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"tokens.csv": []byte(adminToken + `,admin,1,"system:masters"` + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// StartAPI starts the API server, on the same port each time.
func (s *Server) StartAPI() {
	s.t.Helper()
	key := filepath.Join(s.dir, "key.pem")
	// Few requests at a time, and watches that end soon: what a busy server does, tests see in seconds. Why the two features are off is in
	// test/kubelet/node_test.go.
	s.apis = s.run("apiserver", filepath.Join(s.bin, "kube-apiserver"), "--etcd-servers", s.etcd, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", strconv.Itoa(s.port),
		"--cert-dir", filepath.Join(s.dir, "pki"), "--service-account-issuer", "https://test", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		"--token-auth-file", filepath.Join(s.dir, "tokens.csv"), "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.98.0.0/24",
		"--feature-gates", "WatchList=false,WatchFromStorageWithoutResourceVersion=true", "--min-request-timeout", "10", "--etcd-compaction-interval", "10s",
		"--max-requests-inflight", "20", "--max-mutating-requests-inflight", "10")
	s.await("apiserver", func() error { return s.get(s.URL + "/readyz") })
}

// StopAPI kills the API server.
func (s *Server) StopAPI() {
	s.t.Helper()
	s.apis.cmd.Process.Kill()
	<-s.apis.done
}

func (s *Server) run(name, command string, args ...string) *process {
	s.t.Helper()
	s.started++
	p := &process{name: name, log: filepath.Join(s.dir, fmt.Sprintf("%s-%d.log", name, s.started)), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		s.t.Fatal(err)
	}
	p.cmd = exec.Command(command, args...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = out, out, s.dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "GOMAXPROCS=2"}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing outlives a killed test
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		out.Close()
		close(p.done)
	}()
	return p
}

func (s *Server) stop() {
	if s.t.Failed() {
		for _, p := range append([]*process{s.apis}, s.others...) {
			if p != nil {
				s.t.Logf("--- %s\n%s", p.name, tail(p.log, 3000))
			}
		}
	}
	all := s.others
	if s.apis != nil {
		all = append([]*process{s.apis}, all...)
	}
	for i := len(all) - 1; i >= 0; i-- {
		all[i].cmd.Process.Kill()
		<-all[i].done
	}
}

func tail(file string, n int) []byte {
	b, _ := os.ReadFile(file)
	return b[max(0, len(b)-n):]
}

func (s *Server) await(what string, ready func() error) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = ready(); err == nil {
			return
		}
	}
	s.t.Fatalf("%s is not ready: %v", what, err)
}

func (s *Server) get(url string) error {
	_, err := s.Do(context.Background(), http.MethodGet, url, "", nil)
	return err
}

// Do sends a request as an administrator. path is a path of the API server, or a whole URL.
func (s *Server) Do(ctx context.Context, method, path, contentType string, body any) ([]byte, error) {
	if len(path) > 0 && path[0] == '/' {
		path = s.URL + path
	}
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = bytes.NewReader([]byte(b))
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, path, r)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	if contentType == "" {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, content)
	}
	return content, err
}

// Kubeconfig writes a file for a user.
func (s *Server) Kubeconfig(name, token, namespace string) string {
	s.t.Helper()
	file := filepath.Join(s.dir, name+".kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: user, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: user, namespace: %q}}]
current-context: test
`, s.URL, token, namespace)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// Path is where objects of a kind are in a namespace; name "": all of them.
func Path(namespace, version, plural, name string) string {
	p := "/apis/" + version
	if version == "v1" {
		p = "/api/v1"
	}
	return strings.TrimSuffix(p+"/namespaces/"+namespace+"/"+plural+"/"+name, "/")
}

// Namespace makes a namespace with the account of the platform, as deploy/platform/rights has it, and returns a kubeconfig of that account.
func (s *Server) Namespace(name string) (kubeconfig string) {
	s.t.Helper()
	ctx := s.t.Context()
	post := func(path string, object any) {
		s.t.Helper()
		if _, err := s.Do(ctx, http.MethodPost, path, "", object); err != nil {
			s.t.Fatal(err)
		}
	}
	post("/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": name}})
	s.await("the account default", func() error {
		_, err := s.Do(ctx, http.MethodGet, Path(name, "v1", "serviceaccounts", "default"), "", nil)
		return err
	})
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(project(s.t), "deploy", "platform", "rights"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range built.Resources() {
		b, err := r.MarshalJSON()
		if err != nil {
			s.t.Fatal(err)
		}
		post(Path(name, r.GetGvk().ApiVersion(), strings.ToLower(r.GetKind())+"s", ""), json.RawMessage(b))
	}
	return s.Kubeconfig(name, s.TokenOf(ctx, name, "flink-platform"), name)
}

// TokenOf makes a token of an account.
func (s *Server) TokenOf(ctx context.Context, namespace, account string) string {
	s.t.Helper()
	b, err := s.Do(ctx, http.MethodPost, "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+account+"/token", "", map[string]any{"spec": map[string]any{"expirationSeconds": 3600}})
	if err != nil {
		s.t.Fatal(err)
	}
	var made struct{ Status struct{ Token string } }
	if err := json.Unmarshal(b, &made); err != nil {
		s.t.Fatal(err)
	}
	return made.Status.Token
}
