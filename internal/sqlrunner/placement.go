package sqlrunner

// Placement says where the jar must lie for Flink to find [MainClass] in an application cluster.
type Placement uint8

// The placements.
const (
	// ClassPath: anywhere, as an element of java's class path.
	ClassPath Placement = iota
	// UserLibrary: in the usrlib folder, beside the folder that FLINK_LIB_DIR names. TaskManagers load the other
	// jars of that folder from the same path, so theirs must hold them too.
	UserLibrary
)

// PlacementFor returns the placement for a Flink release, given whether there is a usrlib folder. Up to 1.16 Flink
// looks for the job class nowhere else as soon as there is one (ClassPathPackagedProgramRetriever: "Could not find
// the provided job class … in the user lib directory").
func PlacementFor(major, minor int, usrlib bool) Placement {
	if usrlib && (major < 1 || major == 1 && minor <= 16) {
		return UserLibrary
	}
	return ClassPath
}
