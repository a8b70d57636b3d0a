//go:build deploy || kubernetes

package deploy

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// helm is the program, built from its module.
func helm(t *testing.T, module string) string {
	t.Helper()
	dir, err := toolsDir()
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	program, err := install(t.Context(), dir, module)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// runHelm runs helm without anything of the user's: no repositories, no plugins, no cluster, unless an argument names one.
func runHelm(ctx context.Context, program, home string, args ...string) (stdout string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + home, "HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "none")}
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), problem.String())
	}
	return out.String(), nil
}
