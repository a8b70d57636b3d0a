//go:build hive

package hive

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/freeport"
)

// metastore is a Hive metastore on the loopback interface, with a database and a warehouse of its own.
type metastore struct {
	conf      string // the clients' folder with hive-site.xml
	warehouse string // where the tables' files are
}

// startMetastore runs the metastore that is inside Flink's Hive connector until the test ends.
func startMetastore(t *testing.T, home string) metastore {
	t.Helper()
	dir := t.TempDir()
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	m := metastore{conf: filepath.Join(dir, "client"), warehouse: filepath.Join(dir, "warehouse")}
	shared := map[string]string{"hive.metastore.warehouse.dir": "file:" + m.warehouse}
	site(t, m.conf, shared, map[string]string{"hive.metastore.uris": fmt.Sprintf("thrift://127.0.0.1:%d", ports[0])})
	server := filepath.Join(dir, "server")
	site(t, server, shared, map[string]string{
		"javax.jdo.option.ConnectionURL":        "jdbc:derby:;databaseName=" + filepath.Join(dir, "database") + ";create=true",
		"javax.jdo.option.ConnectionDriverName": "org.apache.derby.jdbc.EmbeddedDriver",
		"datanucleus.schema.autoCreateAll":      "true",
		"datanucleus.connectionPoolingType":     "None",
		"hive.metastore.schema.verification":    "false",
	})
	log := filepath.Join(home, "conf", "log4j-console.properties")
	// javax.jdo comes first: the connector has an older one.
	classPath := append([]string{server}, bring(t, metastoreJars)...)
	classPath = append(classPath, bring(t, clientJars)...)
	for _, pattern := range []string{"log4j-*.jar", "flink-dist-*.jar"} { // the latter has commons-cli
		found, err := filepath.Glob(filepath.Join(home, "lib", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s in %s/lib: %v", pattern, home, err)
		}
		classPath = append(classPath, found...)
	}
	java := "java"
	if h := os.Getenv("JAVA_HOME"); h != "" {
		java = filepath.Join(h, "bin", "java")
	}
	cmd := exec.Command(java, "-Xmx512m", "-XX:+UseSerialGC", "-Dlog4j.configurationFile="+log, "-Dderby.stream.error.file="+filepath.Join(dir, "derby.log"),
		"-cp", strings.Join(classPath, ":"), "org.apache.hadoop.hive.metastore.HiveMetaStore", "-p", fmt.Sprint(ports[0]))
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing outlives a killed test
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("the metastore's last words:\n%s", output.Bytes()[max(0, output.Len()-8000):])
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := cluster.Poll(ctx, func() error {
		select {
		case err := <-ended:
			return fmt.Errorf("the metastore ended: %w", err)
		default:
		}
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0]))
		if err != nil {
			return cluster.ErrNotYet
		}
		return connection.Close()
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// site writes hive-site.xml into the new folder dir.
func site(t *testing.T, dir string, settings ...map[string]string) {
	t.Helper()
	type property struct {
		Name  string `xml:"name"`
		Value string `xml:"value"`
	}
	var configuration struct {
		XMLName    xml.Name   `xml:"configuration"`
		Properties []property `xml:"property"`
	}
	for _, some := range settings {
		for _, name := range slices.Sorted(maps.Keys(some)) {
			configuration.Properties = append(configuration.Properties, property{name, some[name]})
		}
	}
	text, err := xml.MarshalIndent(configuration, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hive-site.xml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}
