package jobstate

import (
	"crypto/sha256"
	"encoding/hex"
)

// digest32 is 32 hexadecimal digits made from a name, as Flink's ids have them.
func digest32(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// JobIDOf is the Flink job id of a run: new for each run, so that nothing of an earlier run can be taken for this one's.
func JobIDOf(run string) string { return digest32(run + "/job") }

// ClusterIDOf is the high availability cluster id of a run.
func ClusterIDOf(run string) string { return "run-" + digest32(run + "/cluster")[:16] }
