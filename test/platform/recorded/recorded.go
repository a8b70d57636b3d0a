// Package recorded has what the REST API of real Flink answers about a job: while it waits for slots, while it runs, while it restarts, and after each
// way to end. The command in record writes the bodies.
package recorded

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed bodies
var bodies embed.FS

// Versions of Flink that were recorded.
var Versions = []string{"1.18.1", "1.20.5", "2.2.1"}

// States of a job that were recorded. Stopped is FINISHED by a stop with savepoint.
const (
	Running    = "running"
	Restarting = "restarting"
	Finished   = "finished"
	Failed     = "failed"
	Canceled   = "canceled"
	Stopped    = "stopped"

	// Waiting needs three slots and got two, so two of each three tasks run. Adaptive needs three too, has the adaptive scheduler, and no TaskManager has
	// registered.
	Waiting  = "waiting"
	Adaptive = "adaptive"
)

// States lists them, without Waiting and Adaptive.
var States = []string{Running, Restarting, Finished, Failed, Canceled, Stopped}

// Names of the bodies of a state, and their paths below the REST address: ID is the job's. [Stopped] also has the savepoint's.
var Names = map[string]string{"overview": "/jobs/overview", "job": "/jobs/ID", "exceptions": "/jobs/ID/exceptions", "checkpoints": "/jobs/ID/checkpoints",
	"config": "/jobs/ID/config", "cluster": "/overview", "unknown": "/jobs/OTHER"}

// recordedID is in place of the job's id.
const recordedID = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// Body is what Flink of a version answers about a job with this id. A body that was not recorded is a panic.
func Body(version, state, name, id string) []byte {
	b, err := bodies.ReadFile("bodies/" + version + "/" + state + "/" + name + ".json")
	if err != nil {
		panic(err)
	}
	return bytes.ReplaceAll(b, []byte(recordedID), []byte(id))
}

// Archive is what the JobManager archives of a job that has ended (FsJobArchivist): the answers of its REST API.
func Archive(version, state, id string) []byte {
	type entry struct {
		Path string `json:"path"`
		JSON string `json:"json"`
	}
	var all []entry
	for _, name := range []string{"overview", "job", "config", "exceptions", "checkpoints"} {
		all = append(all, entry{strings.ReplaceAll(Names[name], "ID", id), string(Body(version, state, name, id))})
	}
	b, err := json.Marshal(map[string]any{"archive": all})
	if err != nil {
		panic(fmt.Errorf("internal error (a bug): %w", err))
	}
	return b
}
