package sqlrunner

import "flink-entrypoint/internal/flinkversion"

// rules is what differs between the releases of Flink for the runner.
type rules struct {
	// usrlibAlone: as soon as there is a usrlib folder, the job class is looked for nowhere else
	// (ClassPathPackagedProgramRetriever: "Could not find the provided job class … in the user lib directory").
	usrlibAlone bool
	// explainsTableAs: Flink can explain CREATE TABLE AS, so that a Check plans its sink too.
	explainsTableAs bool
}

func rulesOf(v flinkversion.Version) rules {
	return flinkversion.RulesOf(v, []flinkversion.Change[rules]{
		flinkversion.From(0, 0, func(r *rules) { r.usrlibAlone = true }),
		flinkversion.From(1, 17, func(r *rules) { r.usrlibAlone = false }),
		flinkversion.From(2, 0, func(r *rules) { r.explainsTableAs = true }),
	})
}
