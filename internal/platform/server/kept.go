package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/cluster/kubernetes"
	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/store"
)

// kept keeps in the store what is left of clusters that were deleted, without secrets: the store has more readers, and copies.
type kept struct{ store *store.Store }

var _ kubernetes.Keeper = kept{}

func (k kept) KeepLog(ctx context.Context, run, process string, log []byte) error {
	var b bytes.Buffer
	w := mask.Writer(&b)
	for line := range bytes.Lines(log) {
		if _, err := w.Write(bytes.ToValidUTF8(line, []byte("?"))); err != nil {
			return err
		}
	}
	return k.store.KeepLog(ctx, run, process, b.Bytes())
}

func (k kept) KeepStatus(ctx context.Context, run string, s cluster.Status) error {
	for i := range s.Processes {
		s.Processes[i].Message = mask.Text(s.Processes[i].Message)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return k.store.KeepStatus(ctx, run, b)
}

func (k kept) Status(ctx context.Context, run string) (s cluster.Status, err error) {
	b, err := k.store.KeptStatus(ctx, run)
	if err != nil {
		return s, unknown(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("what is kept of the cluster of run %s: %w", run, err)
	}
	return s, nil
}

func (k kept) Log(ctx context.Context, run, process string) ([]byte, error) {
	b, err := k.store.KeptLog(ctx, run, process)
	return b, unknown(err)
}

func (k kept) Forget(ctx context.Context, run string) error { return k.store.ForgetKept(ctx, run) }

// unknown is the error of a driver for one of the store.
func unknown(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return cluster.ErrUnknown
	}
	return err
}
