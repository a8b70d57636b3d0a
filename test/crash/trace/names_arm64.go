package trace

// oldNames are the calls that newer architectures do not have.
func oldNames() map[uint64]string { return nil }
