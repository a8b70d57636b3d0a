package boot

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/settings"
	"flink-entrypoint/internal/sqlrunner"
)

// Global job parameters that hold digests of what the job was made from.
const (
	keyJobParameters    = "pipeline.global-job-parameters"
	parameterDefinition = "flink-entrypoint.definition" // of the definition's bytes, without the envelope around it
	parameterScript     = "flink-entrypoint.script"     // of a script that the definition only points to
	keyJobListeners     = "execution.job-listeners"

	whyDigest = "high availability: a job that is recovered must tell which definition it is from"
)

// carryDefinition makes the job carry the digest of its definition, and has the JobManager compare it with the digest of the
// definition in force now: with high availability a JobManager runs a job that it recovers as it was submitted.
//
// The carrier is the job itself, by its global job parameters, and not a file beside the high availability data: it is
// where the job is, whatever stores it, goes when the job goes, and REST and web UI show it (jobs/ID/config, "User
// Configuration"). The digest is of the bytes and not of what they mean, so that another version of this program finds the
// same. A job listener compares, since Flink calls it for SQL and jar jobs alike, for recovered jobs too. What does not
// carry: a program that sets global job parameters of its own, which is said in Flink's log.
func (r *Run) carryDefinition(in *reading, conf *settings.Layers, place *placement.Placement, script string) error {
	if conf.HighAvailability() == "" || !featuresOf(in.home.Version).jobListener {
		return nil
	}
	digest := in.job.Seen.SHA256
	if r.opts.DefinitionPointer != "" { // the envelope may hold what changes with each answer
		inner, err := jobdef.Pointer(in.job.document.Bytes, r.opts.DefinitionPointer)
		if err != nil {
			return phase.Fail(phase.DefinitionInvalid, err, "")
		}
		digest = digestOf(inner)
	}
	carry(conf, parameterDefinition, digest)
	if s := in.job.SQL; s.Runs() && (!s.ScriptURI.IsZero() || s.Script.IsReference()) {
		carry(conf, parameterScript, digestOfText(script))
	}
	if !conf.Extend(keyJobListeners, sqlrunner.ListenerClass, ";", "[]", whyDigest) {
		conf.Set(keyJobListeners, sqlrunner.ListenerClass, flinkconf.Automatic, whyDigest)
	}
	if !place.HasRunner() {
		return place.AddRunnerToClassPath() // never in usrlib, where a jar job's class is looked for
	}
	return nil
}

// carry adds a global job parameter.
func carry(conf *settings.Layers, name, value string) {
	if !conf.Extend(keyJobParameters, name+": "+value, ",", "{}", whyDigest) {
		conf.Set(keyJobParameters+"."+name, value, flinkconf.Automatic, whyDigest)
	}
}

// digestOfText is digestOf for what is too large to be copied.
func digestOfText(text string) string {
	sum := sha256.New()
	_, _ = io.Copy(sum, struct{ io.Reader }{strings.NewReader(text)}) // neither can fail
	return hex.EncodeToString(sum.Sum(nil))
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
