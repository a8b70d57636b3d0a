package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/document"
	"flink-entrypoint/internal/platform/wire"
)

// Bounds of one explanation.
const (
	explainTime    = 10 * time.Second
	explainOutput  = 1 << 20
	explainsAtOnce = 2
)

// memory lets the entrypoint explain how the processes of a definition divide their memory, as it would start them: one child for each role.
// The child gets of the definition only what decides sizes, so that it opens no file of it and resolves no secret.
func (s *Server) memory(ctx context.Context, definition []byte) (wire.Memory, error) {
	sizes, err := document.SizesOf(definition)
	if err != nil {
		return wire.Memory{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, explainTime)
	defer cancel()
	select {
	case s.explains <- struct{}{}:
		defer func() { <-s.explains }()
	case <-ctx.Done():
		return wire.Memory{}, ctx.Err()
	}
	dir, err := os.MkdirTemp("", "flink-platform-explain-")
	if err != nil {
		return wire.Memory{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "definition.json"), sizes.Definition, 0o600); err != nil {
		return wire.Memory{}, err
	}
	out := wire.Memory{Notes: sizes.Notes}
	for _, role := range []string{"jobmanager", "taskmanager"} {
		one, err := s.explain(ctx, dir, role, sizes.Sized)
		if err != nil {
			return out, fmt.Errorf("explain %s: %w", role, err)
		}
		out.Roles = append(out.Roles, one)
	}
	return out, nil
}

// explain runs flink-entrypoint explain for a role. That such a process would not start is an answer.
func (s *Server) explain(ctx context.Context, dir, role string, sized bool) (wire.RoleMemory, error) {
	args := []string{"--definition", filepath.Join(dir, "definition.json"), "--run-dir", filepath.Join(dir, "run"), "--termination-log", filepath.Join(dir, "message"),
		"--log-level", "error", "--output", "json"}
	if !sized {
		args = append(args, "--memory", "keep") // as the driver starts it: this machine's memory is not the container's
	}
	c := exec.CommandContext(ctx, s.o.Entrypoint, append(args, "explain", role)...)
	c.Dir, c.WaitDelay = dir, time.Second
	c.Env = []string{"FLINK_HOME=" + s.o.Home}
	for _, kv := range s.o.Env {
		if k, _, _ := strings.Cut(kv, "="); slices.Contains([]string{"PATH", "HOME", "JAVA_HOME", "LANG", "LC_ALL", "TZ"}, k) {
			c.Env = append(c.Env, kv)
		}
	}
	var stdout, stderr bounded
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if ctx.Err() != nil {
		return wire.RoleMemory{}, fmt.Errorf("it did not end within %s: %w", explainTime, ctx.Err())
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return wire.RoleMemory{}, err
	}
	out, failed := memoryOf(role, stdout.kept.Bytes())
	if failed != nil {
		return out, fmt.Errorf("%w: %.500s", errors.Join(failed, err), stderr.kept.Bytes())
	}
	return out, nil
}

// memoryOf reads the memory of an explanation.
func memoryOf(role string, explanation []byte) (wire.RoleMemory, error) {
	var x struct {
		Memory *struct {
			Source      string
			ProcessSize int64
			FlinkSize   int64
			Components  json.RawMessage
		}
		Error *struct{ Message, Hint string }
	}
	out := wire.RoleMemory{Role: role}
	if err := json.Unmarshal(explanation, &x); err != nil {
		return out, fmt.Errorf("the answer is not an explanation: %w", err)
	}
	switch {
	case x.Error != nil:
		out.Fault = &wire.Fault{Message: x.Error.Message, Hint: x.Error.Hint}
		return out, nil
	case x.Memory == nil:
		return out, errors.New("the answer has no memory")
	}
	out.Process, out.Flink, out.Source = x.Memory.ProcessSize, x.Memory.FlinkSize, x.Memory.Source
	// The members are in the order of Flink's memory model, which a map would lose.
	d := json.NewDecoder(bytes.NewReader(x.Memory.Components))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return out, errors.New("the components are not an object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return out, err
		}
		part := wire.MemoryPart{Name: fmt.Sprint(name)}
		if err := d.Decode(&part.Bytes); err != nil {
			return out, fmt.Errorf("%s: %w", part.Name, err)
		}
		out.Parts = append(out.Parts, part)
	}
	return out, nil
}

// bounded keeps the beginning of what is written.
type bounded struct{ kept bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.kept.Write(p[:min(len(p), explainOutput-b.kept.Len())])
	return len(p), nil
}
