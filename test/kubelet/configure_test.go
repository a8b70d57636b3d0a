//go:build kubelet

package kubelet

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
)

const (
	server = "https://127.0.0.1:6443"
	token  = "the-test"
	socket = "/run/containerd/containerd.sock"
	// podNetwork has the addresses of pods, serviceNetwork those of services; its first is the API server's.
	podNetwork, serviceNetwork, serviceOfAPI, serviceRoute = "10.244.0.0/24", "10.98.0.0/24", "10.98.0.1", "10.98.0.254/24"
)

// configure writes what the node's programs read. Places inside of /run, /var/lib and /var/log are the node's own.
func (n *node) configure(plugins string) error {
	for _, sub := range []string{"manifests", "pki", "logs", "cni", "plugins"} {
		if err := os.Mkdir(filepath.Join(n.dir, sub), 0o755); err != nil {
			return err
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	pkcs := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	// Not among the texts below: base64 may well have a "DIR" somewhere.
	if err := os.WriteFile(filepath.Join(n.dir, "key.pem"), pkcs, 0o600); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"tokens.csv": token + `,admin,1,"system:masters"` + "\n",
		"kubeconfig": `apiVersion: v1
kind: Config
clusters: [{name: node, cluster: {server: "` + server + `", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: ` + token + `}}]
contexts: [{name: node, context: {cluster: node, user: admin}}]
current-context: node
`,
		// Each pod has a link to the node, which routes: what goes from pod to pod through a Service comes back through it. The test reaches
		// the pods by their addresses.
		"cni/node.conflist": `{"cniVersion": "0.4.0", "name": "node", "plugins": [{"type": "ptp",
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "` + podNetwork + `"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
`,
		// For clients on the node, as the kubelet gives it to pods.
		"resolv.conf": "nameserver " + nodeAddress + "\nsearch svc." + clusterDomain + " " + clusterDomain + "\noptions ndots:5\n",
		// restrict_oom_score_adj: root of a restricted machine may not lower the score of a process.
		"containerd.toml": `version = 2
root = "DIR/containerd"
state = "/run/containerd"
[grpc]
  address = "` + socket + `"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + pauseImage + `"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "` + plugins + `"
    conf_dir = "DIR/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
`,
		// Nothing is evicted nor collected because of the state of the machine that the test runs on.
		"kubelet.yaml": `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://` + socket + `
staticPodPath: DIR/manifests
podLogsDir: DIR/logs
volumePluginDir: DIR/plugins
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
address: ` + nodeAddress + `
cgroupDriver: cgroupfs
cgroupRoot: /NODE
enforceNodeAllocatable: [pods]
failSwapOn: false
oomScoreAdj: 0
localStorageCapacityIsolation: false
evictionHard: {memory.available: 1Mi}
imageGCHighThresholdPercent: 100
resolvConf: ""
clusterDNS: [` + nodeAddress + `]
clusterDomain: ` + clusterDomain + `
`} {
		text = strings.NewReplacer("DIR", n.dir, "/NODE", "/"+filepath.Base(n.dir)).Replace(text)
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
