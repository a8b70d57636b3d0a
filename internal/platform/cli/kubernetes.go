package cli

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/platform/cluster/kubernetes"
)

// Values of --driver.
const (
	driverProcesses  = "processes"
	driverKubernetes = "kubernetes"
)

func kubernetesFlags(f *pflag.FlagSet) {
	f.String("namespace", "", "with --driver kubernetes: `NAMESPACE` of the clusters (the one in the kubeconfig, or the one of the server's pod)")
	f.String("kubeconfig", "", "`FILE` that says where the API server is (the account of the server's pod)")
	f.String("image", "flink-entrypoint:{version}-slim", "`IMAGE` of the pods; {version} is the minor version of Flink")
	f.String("flink-version", "2.2", "`VERSION` of Flink for definitions that name none")
	f.String("state-dir", "", "`URI` below which savepoints are, such as s3://bucket/flink; needed with --driver kubernetes")
	f.String("state-claim", "", "`NAME` of a PersistentVolumeClaim that all pods have at /state, for --state-dir file:///state")
	f.String("kustomize", "", "`DIR` with a component of kustomize that is added to each cluster: pull secrets, node selectors, variables")
	f.String("rest-url", kubernetes.ThroughServer, "how JobManagers are asked: "+kubernetes.ThroughServer+", "+kubernetes.ByService+", or a `URL` with {job} or {run}")
}

// kubernetes are the options of the driver; nil: another driver was chosen.
func (c *call) kubernetes() (*kubernetes.Options, error) {
	switch driver := c.text("driver"); driver {
	case driverProcesses:
		for _, flag := range []string{"namespace", "kubeconfig", "image", "flink-version", "state-dir", "state-claim", "kustomize", "rest-url"} {
			if c.flags.Changed(flag) {
				return nil, usagef("--%s is for --driver kubernetes", flag)
			}
		}
		return nil, nil
	case driverKubernetes:
	default:
		return nil, usagef("--driver is %q, expected %s or %s", driver, driverProcesses, driverKubernetes)
	}
	o := &kubernetes.Options{Namespace: c.text("namespace"), Kubeconfig: c.text("kubeconfig"), Image: c.text("image"), FlinkVersion: c.text("flink-version"),
		StateDir: c.text("state-dir"), StateClaim: c.text("state-claim"), Component: c.text("kustomize"), REST: c.text("rest-url")}
	if u, err := url.Parse(c.text("url")); err != nil || u.Host == "" {
		return nil, usagef("--url is %q, expected the URL under which pods reach this server, such as http://flink-platform.flink.svc:8088", c.text("url"))
	}
	if u, err := url.Parse(o.StateDir); err != nil || u.Scheme == "" {
		return nil, usagef("--state-dir is %q, expected a URI that all pods can read and write, such as s3://bucket/flink", o.StateDir)
	}
	if strings.HasPrefix(o.StateDir, "file:") && o.StateClaim == "" {
		return nil, usagef("--state-dir is %s, which each pod has for itself: name a volume that all of them share with --state-claim", o.StateDir)
	}
	if o.Component != "" {
		if _, err := os.Stat(filepath.Join(o.Component, "kustomization.yaml")); err != nil {
			return nil, usagef("--kustomize %s has no kustomization.yaml", o.Component)
		}
	}
	return o, nil
}
