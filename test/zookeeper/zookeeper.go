// Package zookeeper starts a ZooKeeper server for tests of high availability.
package zookeeper

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/freeport"
)

// Start starts the ZooKeeper server that every Flink distribution carries for its own quorums, and returns its
// address. It ends with the test.
func Start(t testing.TB, home string) string {
	t.Helper()
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	// A session lives at least two ticks.
	conf := fmt.Sprintf("tickTime=500\ninitLimit=10\nsyncLimit=5\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nserver.1=127.0.0.1\n", filepath.Join(dir, "data"), ports[0])
	if err := os.WriteFile(filepath.Join(dir, "zoo.cfg"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("java", "-Xmx128m", "-Dzookeeper.admin.enableServer=false", "-cp", filepath.Join(home, "lib", "*"),
		"org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer", "--zkConfigFile", filepath.Join(dir, "zoo.cfg"), "--peerId", "1")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cluster.Poll(ctx, func() error { return serves(address) }); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("ZooKeeper does not serve: %v\n%s", err, said)
	}
	return address
}

// serves asks the server for its state.
func serves(address string) error {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "srvr"); err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(answer), "Mode: standalone") {
		return fmt.Errorf("%w: %q %w", cluster.ErrNotYet, answer, err)
	}
	return nil
}
