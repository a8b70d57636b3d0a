package boot

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/secret"
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

// carryDefinition makes the job carry the digest of its definition, and has the JobManager compare it with that of the
// definition in force now: with high availability a JobManager runs a job that it recovers as it was submitted.
//
// The carrier is the job itself, by its global job parameters, and not a file beside the high availability data: it is
// where the job is, whatever stores it, goes when the job goes, and REST and web UI show it (jobs/ID/config, "User
// Configuration"). The digest is of the bytes and not of what they mean, so that another version of this program finds the
// same. A job listener compares, since Flink calls it for SQL and jar jobs alike, for recovered jobs too. What does not
// carry: a program that sets global job parameters of its own, which is said in Flink's log.
func (g *gatherer) carryDefinition(script []byte) error {
	if g.conf.highAvailability() == "" || !featuresOf(g.plan.Home.Version).jobListener {
		return nil
	}
	digest := g.plan.Definition.SHA256
	if g.opts.DefinitionPointer != "" { // the envelope may hold what changes with each answer
		inner, err := jobdef.Pointer(g.document, g.opts.DefinitionPointer)
		if err != nil {
			return fail(DefinitionInvalid, err, "")
		}
		digest = digestOf(inner)
	}
	g.carry(parameterDefinition, digest)
	if s := g.def.SQL; s.Runs() && (!s.ScriptURI.IsZero() || s.Script.IsReference()) {
		g.carry(parameterScript, digestOf(script))
	}
	if !g.extend(keyJobListeners, sqlrunner.ListenerClass, ";", "[]") {
		g.conf.set(keyJobListeners, sqlrunner.ListenerClass, flinkconf.Automatic, whyDigest)
	}
	if !g.hasRunnerJar() {
		g.classPathJar() // never in usrlib, where a jar job's class is looked for
	}
	return nil
}

// carry adds a global job parameter.
func (g *gatherer) carry(name, value string) {
	if !g.extend(keyJobParameters, name+": "+value, ",", "{}") {
		g.conf.set(keyJobParameters+"."+name, value, flinkconf.Automatic, whyDigest)
	}
}

// extend adds an item to a list or map that somebody chose, in the spelling that it has: Flink's, or YAML's in brackets.
func (g *gatherer) extend(key, item, separator, brackets string) bool {
	have, ok := g.conf.want.Get(key)
	if !ok {
		return false
	}
	text := strings.TrimSpace(have.Value.Reveal())
	last := len(text) - 1
	switch {
	case text == "":
		text = strings.Replace(item, ": ", ":", 1)
	case text[0] != brackets[0] || text[last] != brackets[1]:
		text += separator + strings.Replace(item, ": ", ":", 1)
	case strings.TrimSpace(text[1:last]) == "":
		text = brackets[:1] + item + brackets[1:]
	default:
		text = text[:last] + ", " + item + brackets[1:]
	}
	if have.Value.IsHidden() {
		have.Value = secret.Hidden(text)
	} else {
		have.Value = public(text)
	}
	have.Source.Where += ", " + whyDigest
	g.conf.want.Set(have)
	return true
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
