package boot

import "flink-entrypoint/internal/flinkversion"

// features are what this room asks of a Flink release. What a release's configuration, scripts or memory model does
// differently is in the tables of those rooms.
type features struct {
	jobListener    bool // a listener hears of a recovered job, and global job parameters reach it
	jobResultStore bool // the end of a job is remembered, and can be kept for a standby
	haType         bool // high-availability.type, and "kubernetes" as its short name
}

func featureHistory() []flinkversion.Change[features] {
	return []flinkversion.Change[features]{
		flinkversion.From(1, 15, func(f *features) { f.jobListener = true }),
		flinkversion.From(1, 15, func(f *features) { f.jobResultStore = true }), // FLIP-194
		flinkversion.From(1, 17, func(f *features) { f.haType = true }),         // FLINK-29154
	}
}

func featuresOf(v flinkversion.Version) features { return flinkversion.RulesOf(v, featureHistory()) }
