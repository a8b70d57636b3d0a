// Package flinkoptions knows how users write Flink's options, and what needs a warning or a translation: arguments of
// the roles, keys that were renamed, lines that were joined, options of the JVM that are missing.
package flinkoptions

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
)

// moduleOption is one --add-exports or --add-opens option of the env.java.opts.all in a distribution's configuration.
type moduleOption struct {
	option, target string
	gone           flinkversion.Release // the first without it; zero: none
}

// javaModules is the first release whose stock configuration opens modules for Java 17.
func javaModules() flinkversion.Release { return flinkversion.Since(1, 18) }

// String returns the option as the stock configuration spells it.
func (o moduleOption) String() string { return o.option + "=" + o.target + "=ALL-UNNAMED" }

// Modules returns all module options of all releases.
func Modules() []string {
	var out []string
	for _, o := range moduleOptions() {
		out = append(out, o.String())
	}
	return out
}

// moduleOptions is what Flink itself needs of the JDK's internals since Java 17 encapsulates them (JEP 403). It is a value in
// the stock configuration and not in any script, so a configuration that replaces it (a ConfigMap) loses it.
// In every stock configuration from 1.18 on.
func moduleOptions() []moduleOption {
	const exports, opens = "--add-exports", "--add-opens"
	return []moduleOption{
		{exports, "java.base/sun.net.util", flinkversion.Since(2, 1)},
		{option: exports, target: "java.rmi/sun.rmi.registry"},
		{option: exports, target: "jdk.compiler/com.sun.tools.javac.api"},
		{option: exports, target: "jdk.compiler/com.sun.tools.javac.file"},
		{option: exports, target: "jdk.compiler/com.sun.tools.javac.parser"},
		{option: exports, target: "jdk.compiler/com.sun.tools.javac.tree"},
		{option: exports, target: "jdk.compiler/com.sun.tools.javac.util"},
		{option: exports, target: "java.security.jgss/sun.security.krb5"},
		{option: opens, target: "java.base/java.lang"},
		{option: opens, target: "java.base/java.net"},
		{option: opens, target: "java.base/java.io"},
		{option: opens, target: "java.base/java.nio"},
		{option: opens, target: "java.base/sun.nio.ch"},
		{option: opens, target: "java.base/java.lang.reflect"},
		{option: opens, target: "java.base/java.text"},
		{option: opens, target: "java.base/java.time"},
		{option: opens, target: "java.base/java.util"},
		{option: opens, target: "java.base/java.util.concurrent"},
		{option: opens, target: "java.base/java.util.concurrent.atomic"},
		{option: opens, target: "java.base/java.util.concurrent.locks"},
	}
}

// NeededModules returns the options of the stock configuration of v, as its file spells them; none where v does not know
// Java 17 or that Java does not need them.
func NeededModules(v flinkversion.Version, javaSpec int) []string {
	if !v.Reaches(javaModules()) || javaSpec < 17 {
		return nil
	}
	var out []string
	for _, o := range moduleOptions() {
		if o.gone.IsZero() || !v.Reaches(o.gone) {
			out = append(out, o.String())
		}
	}
	return out
}

// missingModuleOptions returns which of them are in no word that java gets. To open a package also exports it.
func missingModuleOptions(needed, words []string) []string {
	have := map[string]bool{}
	for i, w := range words {
		option, value, ok := strings.Cut(w, "=")
		if option != "--add-opens" && option != "--add-exports" {
			continue
		}
		if !ok && i+1 < len(words) {
			value = words[i+1] // the launcher also takes them as two words
		}
		target, modules, _ := strings.Cut(value, "=")
		if !slices.Contains(strings.Split(modules, ","), "ALL-UNNAMED") {
			continue
		}
		have[option+"="+target+"=ALL-UNNAMED"] = true
		if option == "--add-opens" {
			have["--add-exports="+target+"=ALL-UNNAMED"] = true
		}
	}
	var missing []string
	for _, o := range needed {
		if !have[o] {
			missing = append(missing, o)
		}
	}
	return missing
}

// MissingModules returns a warning when the process will miss what the stock env.java.opts.all gives it, else "". It looks at
// the command line, so it does not matter how the options come there. conf is what Flink reads.
func MissingModules(v flinkversion.Version, javaSpec int, argv []string, vars environ.Vars, conf *flinkconf.Conf) string {
	needed := NeededModules(v, javaSpec)
	if len(needed) == 0 {
		return ""
	}
	words := argv
	for _, name := range []string{"JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"} { // read by java itself
		words = append(slices.Clip(words), strings.Fields(vars.Get(name))...)
	}
	missing := missingModuleOptions(needed, words)
	if len(missing) == 0 {
		return ""
	}
	culprit := "no env.java.opts.all is set"
	for _, key := range []string{"env.java.opts.all", "env.java.opts"} {
		if e, ok := conf.Get(key); ok {
			culprit = fmt.Sprintf("%s (%s) replaces the stock value", key, e.Source.Where)
			break
		}
	}
	if vars.Get("FLINK_ENV_JAVA_OPTS") != "" {
		culprit = "FLINK_ENV_JAVA_OPTS replaces env.java.opts.all"
	}
	return fmt.Sprintf("%s, and %d of the %d options that Flink %s needs on Java %d are missing: code that uses internals of the JDK will fail with InaccessibleObjectException or IllegalAccessError; add %s",
		culprit, len(missing), len(needed), v.Release(), javaSpec, strings.Join(missing, " "))
}
