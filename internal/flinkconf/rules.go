package flinkconf

import "flink-entrypoint/internal/flinkversion"

// rules is what differs between the releases in how Flink reads an option; the sensitive keys have a table of their own.
type rules struct {
	shortMinutes         bool // "m" is a unit of a duration
	anyNumber            bool // the number of a duration may be longer than 64 bits
	isoDurations         bool // a duration can be written in ISO-8601
	hidesSensitiveValues bool // in the exception about a value that cannot be read
	stripsBeforeEquals   bool // commons-cli 1.5 looks at the name before "=" when it asks whether a token is an option
}

func rulesOf(v flinkversion.Version) rules {
	return flinkversion.RulesOf(v, []flinkversion.Change[rules]{
		flinkversion.From(1, 15, func(r *rules) { r.shortMinutes, r.stripsBeforeEquals = true, true }),
		flinkversion.From(1, 17, func(r *rules) { r.hidesSensitiveValues = true }), // FLINK-30443
		flinkversion.From(2, 0, func(r *rules) { r.anyNumber = true }),
		flinkversion.From(2, 1, func(r *rules) { r.isoDurations = true }),
	})
}
