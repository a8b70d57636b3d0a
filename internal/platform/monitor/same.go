package monitor

import (
	"encoding/json"

	"flink-entrypoint/internal/platform/jobstate"
)

// Same reports whether two states are stored alike.
func Same(a, b jobstate.Run) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
