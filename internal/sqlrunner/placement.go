package sqlrunner

import "flink-entrypoint/internal/flinkversion"

// Placement says where the jar must be for Flink to find [MainClass] in an application cluster.
type Placement uint8

// The placements.
const (
	// ClassPath: anywhere, as an element of java's class path.
	ClassPath Placement = iota
	// UserLibrary: in the usrlib folder, beside the folder that FLINK_LIB_DIR names. TaskManagers load the other
	// jars of that folder from the same path, so the TaskManagers' folder must hold them too.
	UserLibrary
)

// PlacementFor returns the placement for a version of Flink, given whether there is a usrlib folder.
func PlacementFor(v flinkversion.Version, usrlib bool) Placement {
	if usrlib && rulesOf(v).usrlibAlone {
		return UserLibrary
	}
	return ClassPath
}
