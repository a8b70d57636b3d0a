package boot

import "flink-entrypoint/internal/flinkconf"

// features are what this room asks of a Flink release. What a release's configuration, scripts or memory model does
// differently is in the tables of those rooms.
type features struct {
	localRun       bool // the runner works without a cluster
	jobListener    bool // a listener hears of a recovered job, and global job parameters reach it
	jobResultStore bool // the end of a job is remembered, and can be kept for a standby
	haType         bool // high-availability.type, and "kubernetes" as its short name
	java17         bool // the stock configuration opens modules for Java 17
	catalogStore   bool // table.catalog-store.*
	standardConf   bool // config.yaml beside flink-conf.yaml
	rootStays      bool // the official image does not change the user
}

func featuresOf(v flinkconf.Version) features {
	return features{
		localRun:       v.AtLeast(1, 14),
		jobListener:    v.AtLeast(1, 15),
		jobResultStore: v.AtLeast(1, 15), // FLIP-194
		haType:         v.AtLeast(1, 17), // FLINK-29154
		java17:         v.AtLeast(1, 18),
		catalogStore:   v.AtLeast(1, 18), // FLIP-295
		standardConf:   v.AtLeast(1, 19), // FLIP-366
		rootStays:      v.AtLeast(2, 4),  // FLINK-37881
	}
}
