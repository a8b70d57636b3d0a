package launch

import "strings"

// quickJIT makes HotSpot compile a method for speed ten times later than it does by default (-XX:Tier4…Threshold): a JobManager that
// starts needs its processor for other things, and the code that matters is hot a few seconds later.
func quickJIT() []string {
	return []string{"-XX:Tier4InvocationThreshold=50000", "-XX:Tier4MinInvocationThreshold=6000", "-XX:Tier4CompileThreshold=150000", "-XX:Tier4BackEdgeThreshold=400000"}
}

// decidesJIT returns the user's option that decides when methods are compiled, or "".
func decidesJIT(options []string) string {
	for _, o := range options {
		for _, prefix := range []string{"-XX:Tier", "-XX:-TieredCompilation", "-XX:+TieredCompilation", "-XX:CompilationMode", "-Xint", "-Xcomp"} {
			if strings.HasPrefix(o, prefix) {
				return o
			}
		}
	}
	return ""
}

// IsJobManager reports whether the process is a JobManager.
func (r Role) IsJobManager() bool {
	return r == JobManager || r == StandaloneJob || r == KubernetesSession || r == KubernetesApplication
}

// addQuickJIT puts the options in front, where the user's options after them win.
func (b *builder) addQuickJIT() {
	if !b.QuickJIT || !b.Role.IsJobManager() {
		return
	}
	if o := decidesJIT(b.cmd.Options); o != "" {
		b.warn("--jit quick has no effect: the Java option %s decides when code is compiled", o)
		return
	}
	b.cmd.Prepend(quickJIT()...)
	b.differ("--jit quick: the JVM compiles for speed ten times later (%s)", quickJIT()[0]+" …")
}
