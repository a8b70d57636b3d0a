//go:build deploy || container || kubelet || kubernetes

package deploy

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// What defines the kinds that Kubernetes does not have itself, in fixed versions.
const (
	monitoringModule    = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring"
	monitoringVersion   = "v0.92.1"
	generatorModule     = "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.19.0"
	operatorVersion     = "1.10.0"
	operatorCoordinates = "org.apache.flink:flink-kubernetes-operator-api:" + operatorVersion
)

// customKind is a kind of an operator: how to recognise it, and how its definition (CustomResourceDefinition) comes into a file.
type customKind struct {
	apiVersion, kind string
	file             string
	bring            func(ctx context.Context, dir, file string) error
}

func customKinds() []customKind {
	return []customKind{
		{"monitoring.coreos.com/v1", "PodMonitor", "podmonitors-" + monitoringVersion + ".yaml", bringMonitoring("podmonitors")},
		{"monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors-" + monitoringVersion + ".yaml", bringMonitoring("servicemonitors")},
		{"flink.apache.org/v1beta1", "FlinkDeployment", "flinkdeployments-" + operatorVersion + ".yaml", bringFlinkDeployment},
	}
}

// definitions returns the files with the definitions of the kinds that a stream has: apiVersion/kind → file.
func (t *tools) definitions(ctx context.Context, streams map[string]string) (map[string]string, error) {
	files := map[string]string{}
	for _, c := range customKinds() {
		for _, stream := range streams {
			if !strings.Contains(stream, "apiVersion: "+c.apiVersion+"\nkind: "+c.kind+"\n") {
				continue
			}
			file, err := t.definition(ctx, c)
			if err != nil {
				return nil, err
			}
			files[c.apiVersion+"/"+c.kind] = file
			break
		}
	}
	return files, nil
}

func (t *tools) definition(ctx context.Context, c customKind) (string, error) {
	if c.kind == "FlinkDeployment" {
		if file := os.Getenv("FLINK_OPERATOR_CRD"); file != "" { // of another version
			return file, nil
		}
	}
	file := filepath.Join(t.dir, c.file)
	if exists(file) {
		return file, nil
	}
	unlock, err := lock(t.dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(file) {
		return file, nil
	}
	dir, err := os.MkdirTemp(t.dir, "bring-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	part := filepath.Join(dir, "definition.yaml")
	if err := c.bring(ctx, dir, part); err != nil {
		return "", fmt.Errorf("bring the definition of %s: %w", c.kind, err)
	}
	return file, os.Rename(part, file)
}

// bringMonitoring makes the definition of a kind of the Prometheus operator from its Go types, as the operator's own release does.
func bringMonitoring(resource string) func(ctx context.Context, dir, file string) error {
	return func(ctx context.Context, dir, file string) error { return bringMonitoringOf(ctx, resource, dir, file) }
}

func bringMonitoringOf(ctx context.Context, resource, dir, file string) error {
	command := func(in string, name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir, cmd.Env = in, append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOBIN="+dir)
		return cmd
	}
	if err := loud(command(dir, "go", "install", generatorModule)); err != nil {
		return err
	}
	download := command(dir, "go", "mod", "download", "-json", monitoringModule+"@"+monitoringVersion)
	out, err := download.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(download.Args, " "), err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return err
	}
	if err := loud(command(module.Dir, filepath.Join(dir, "controller-gen"), "crd:crdVersions=v1,allowDangerousTypes=true,maxDescLen=0", "paths=./v1", "output:crd:dir="+dir)); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "monitoring.coreos.com_"+resource+".yaml"), file)
}

// bringFlinkDeployment takes the definition of FlinkDeployment from a released jar of the operator.
func bringFlinkDeployment(ctx context.Context, dir, file string) error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("%s is not in the cache, and mvn, which would bring it, is missing: apt-get install maven", operatorCoordinates)
	}
	if err := loud(exec.CommandContext(ctx, "mvn", "-q", "-B", "dependency:copy", "-Dartifact="+operatorCoordinates, "-DoutputDirectory="+dir)); err != nil {
		return err
	}
	jar, err := zip.OpenReader(filepath.Join(dir, "flink-kubernetes-operator-api-"+operatorVersion+".jar"))
	if err != nil {
		return err
	}
	defer jar.Close()
	in, err := jar.Open("META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml")
	if err != nil {
		return err
	}
	defer in.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, in); err != nil {
		return err
	}
	return os.WriteFile(file, text.Bytes(), 0o644)
}
