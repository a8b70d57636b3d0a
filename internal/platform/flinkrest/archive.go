package flinkrest

import (
	"encoding/json"
	"fmt"

	"flink-entrypoint/internal/platform/jobstate"
)

// Archived is one answer out of an archive of FsJobArchivist: {"archive": [{"path": "/jobs/overview", "json": "{…}"}, …]}.
func Archived(archive []byte, path string) ([]byte, error) {
	var o struct{ Archive []struct{ Path, JSON string } }
	if err := json.Unmarshal(archive, &o); err != nil {
		return nil, fmt.Errorf("not an archive of a JobManager: %w", err)
	}
	for _, e := range o.Archive {
		if e.Path == path {
			return []byte(e.JSON), nil
		}
	}
	return nil, fmt.Errorf("the archive has no %s", path)
}

// EndOf reads how a job ended from its archive, with the newest completed savepoint below a directory. A job that is not in the archive, or
// has not ended in it, is an error.
func EndOf(archive []byte, job, savepoints string) (jobstate.Archived, error) {
	overview, err := Archived(archive, "/jobs/overview")
	if err != nil {
		return jobstate.Archived{}, err
	}
	var o struct{ Jobs []Job }
	if err := json.Unmarshal(overview, &o); err != nil {
		return jobstate.Archived{}, err
	}
	for _, j := range o.Jobs {
		if j.ID != job {
			continue
		}
		if !j.State.Terminal() {
			return jobstate.Archived{}, fmt.Errorf("the archive says that job %s is %s", job, j.State)
		}
		end := jobstate.Archived{JobID: job, Status: j.State}
		if x, err := Archived(archive, "/jobs/"+job+"/exceptions"); err == nil && j.State == jobstate.StFailed {
			if all, err := ExceptionsOf(x); err == nil && len(all) > 0 {
				end.Cause = Cause(all[0].Text)
			}
		}
		if c, err := Archived(archive, "/jobs/"+job+"/checkpoints"); err == nil {
			if all, err := CheckpointsOf(c); err == nil {
				end.Savepoint = all.SavepointIn(savepoints)
			}
		}
		return end, nil
	}
	return jobstate.Archived{}, fmt.Errorf("the archive has no job %s", job)
}

// Recorded reads an entry of the job result store of high availability (FileSystemJobResultStore, 1.15 and later).
func Recorded(entry []byte, job string) (jobstate.Status, error) {
	var o struct {
		Result struct {
			ID     string
			Status string `json:"application-status"`
		}
	}
	if err := json.Unmarshal(entry, &o); err != nil {
		return "", fmt.Errorf("not an entry of a job result store: %w", err)
	}
	status := map[string]jobstate.Status{"SUCCEEDED": jobstate.StFinished, "FAILED": jobstate.StFailed, "CANCELED": jobstate.StCanceled}[o.Result.Status]
	if o.Result.ID != job || status == "" {
		return "", fmt.Errorf("the entry of the job result store says that job %q is %q, expected job %s with SUCCEEDED, FAILED or CANCELED", o.Result.ID, o.Result.Status, job)
	}
	return status, nil
}
