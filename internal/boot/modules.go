package boot

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
)

// moduleOption is one --add-exports or --add-opens option of the env.java.opts.all in a distribution's configuration.
type moduleOption struct {
	option, target string
	gone           flinkconf.Version // first version without it; zero: none
}

// moduleOptions is what Flink itself needs of the JDK's internals since Java 17 encapsulates them (JEP 403). It is a value in
// the stock configuration and not in any script, so a configuration that replaces it (a ConfigMap) loses it.
// In every stock configuration from 1.18 on.
func moduleOptions() []moduleOption {
	const exports, opens = "--add-exports", "--add-opens"
	return []moduleOption{
		{exports, "java.base/sun.net.util", flinkconf.Version{Major: 2, Minor: 1}},
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

// neededModuleOptions returns the options of the stock configuration of v, as its file spells them; none where v does not know
// Java 17 or that Java does not need them.
func neededModuleOptions(v flinkconf.Version, javaSpec int) []string {
	if !featuresOf(v).java17 || javaSpec < 17 {
		return nil
	}
	var out []string
	for _, o := range moduleOptions() {
		if o.gone == (flinkconf.Version{}) || !v.AtLeast(o.gone.Major, o.gone.Minor) {
			out = append(out, o.option+"="+o.target+"=ALL-UNNAMED")
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

// checkModules warns when the process will miss what the stock env.java.opts.all gives it. It looks at the command line, so it
// does not matter how the options come there.
func (g *gatherer) checkModules() {
	needed := neededModuleOptions(g.plan.Home.Version, g.plan.Java.Spec)
	if len(needed) == 0 {
		return
	}
	words := g.plan.Command.Argv
	for _, name := range []string{"JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"} { // read by java itself
		words = append(slices.Clip(words), strings.Fields(g.env.get(name))...)
	}
	missing := missingModuleOptions(needed, words)
	if len(missing) == 0 {
		return
	}
	culprit := "no env.java.opts.all is set"
	for _, key := range []string{"env.java.opts.all", "env.java.opts"} {
		if e, ok := g.plan.Config.Effective.Get(key); ok {
			culprit = fmt.Sprintf("%s (%s) replaces the stock value", key, e.Source.Where)
			break
		}
	}
	if g.env.get("FLINK_ENV_JAVA_OPTS") != "" {
		culprit = "FLINK_ENV_JAVA_OPTS replaces env.java.opts.all"
	}
	g.warnf("%s, and %d of the %d options that Flink %s needs on Java %d are missing: code that reaches into the JDK will fail with InaccessibleObjectException or IllegalAccessError; add %s",
		culprit, len(missing), len(needed), g.plan.Home.Version.MinorString(), g.plan.Java.Spec, strings.Join(missing, " "))
}
