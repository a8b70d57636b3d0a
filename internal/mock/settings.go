package mock

import "strings"

// clusterSetting is a key, by its prefix, that SET gives a value for a cluster: it means nothing in one process, or does harm without
// the cluster's storage and services.
type clusterSetting struct {
	prefix string
	// blanked: the user's script is judged without it. The others are judged, as on the cluster, and left out then.
	blanked bool
	// stays: the definition's own SET of it is kept.
	stays bool
}

func clusterSettings() []clusterSetting {
	return []clusterSetting{
		{prefix: "$internal."},
		{prefix: "execution.attached", blanked: true},
		{prefix: "execution.checkpointing.", blanked: true},
		{prefix: "execution.savepoint.", blanked: true},
		{prefix: "execution.state-recovery."},
		{prefix: "execution.target", blanked: true},
		{prefix: "high-availability", blanked: true},
		{prefix: "jobmanager.", blanked: true},
		{prefix: "kubernetes.", blanked: true},
		{prefix: "parallelism.default"},
		{prefix: "pipeline.classpaths", blanked: true, stays: true},
		{prefix: "pipeline.fixed-job-id"},
		{prefix: "pipeline.jars", blanked: true, stays: true},
		{prefix: "rest.", blanked: true},
		{prefix: "restart-strategy", blanked: true},
		{prefix: "state.backend.changelog", blanked: true, stays: true},
		{prefix: "state.checkpoints.", blanked: true},
		{prefix: "state.checkpoint"}, // state.checkpoint-storage and others; after the longer prefix
		{prefix: "state.savepoints.", blanked: true},
		{prefix: "table.exec.resource.default-parallelism"},
		{prefix: "taskmanager."},
		{prefix: "yarn.", blanked: true},
	}
}

// Blanked reports whether a SET of the key is to be taken out of the user's script before it is judged and mocked.
func Blanked(key string) bool { return clusterSettingOf(key).blanked }

// leftOut reports whether a SET of the key is left out where a script is mocked.
func leftOut(key string) bool {
	s := clusterSettingOf(key)
	return s.prefix != "" && !s.stays
}

// clusterSettingOf returns the zero value for a key that is not for a cluster.
func clusterSettingOf(key string) clusterSetting {
	for _, s := range clusterSettings() {
		if strings.HasPrefix(key, s.prefix) {
			return s
		}
	}
	return clusterSetting{}
}
