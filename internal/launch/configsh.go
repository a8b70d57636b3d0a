package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkconf"
)

// value reads a key as the version's readFromConfig does; def stands for a missing or empty value.
func (b *builder) value(key, def string) string {
	var v string
	if b.rules.flattened {
		v = distribution.FlatValue(b.ShellConf, key)
	} else {
		v = distribution.ScriptValue(b.RawConf, key)
	}
	if v == "" {
		return def
	}
	return v
}

// configSh does what bin/config.sh does. flink-console.sh runs it a second time, which changes nothing more.
func (b *builder) configSh() {
	sh := b.sh
	sh.set("FLINK_HOME", b.Home.Dir)
	sh.export("FLINK_CONF_DIR", b.ConfDir)
	sh.export("FLINK_BIN_DIR", b.Home.BinDir)
	sh.export("FLINK_PLUGINS_DIR", b.Home.PluginsDir)
	sh.export("FLINK_LIB_DIR", b.Home.LibDir)
	sh.export("FLINK_OPT_DIR", b.Home.OptDir)
	assign := sh.set
	if b.rules.exportJava {
		assign = sh.export
	}
	assign("JAVA_HOME", b.Java.Home)
	assign("JAVA_RUN", b.Java.Run)
	if sh.get("HOSTNAME") == "" {
		sh.set("HOSTNAME", b.Hostname)
	}
	if _, ok := sh.lookup("FLINK_TM_COMPUTE_NUMA"); ok {
		if _, err := distribution.LookPath("numactl", sh.get("PATH")); err != nil {
			sh.set("FLINK_TM_COMPUTE_NUMA", "false")
		} else if sh.get("FLINK_TM_COMPUTE_NUMA") == "" {
			sh.set("FLINK_TM_COMPUTE_NUMA", b.value("taskmanager.compute.numa", "false"))
		}
	}
	for _, s := range b.rules.settings(b.Home.LogDir) {
		if sh.get(s.name) != "" {
			continue
		}
		v := b.value(s.key, s.def)
		if s.name == "MAX_LOG_FILE_NUMBER" && b.rules.bareLogMax {
			v = strings.TrimSuffix(strings.TrimPrefix(v, "'"), "'")
		}
		if sh.set(s.name, v); s.export {
			sh.export(s.name, v)
		}
	}
	b.composeJavaOptions()
	b.hadoop()
}

// composeJavaOptions does what config.sh does to the Java options. What comes of that may have a quote without its partner; then
// it is done again with the quotes of last words left in their place.
func (b *builder) composeJavaOptions() {
	vars, differences, warnings := maps.Clone(b.sh.vars), len(b.cmd.Differences), len(b.cmd.Warnings)
	b.javaOptionVariables()
	if !b.rules.evaluate || balanced(b.sh.get("FLINK_ENV_JAVA_OPTS")+" "+b.sh.get(b.script.optionsVar)) {
		return
	}
	b.sh.vars, b.cmd.Differences, b.cmd.Warnings = vars, b.cmd.Differences[:differences], b.cmd.Warnings[:warnings]
	b.keepQuotes, b.splitQuoted = true, false
	b.javaOptionVariables()
}

// optionValue reads a key that holds Java options. The lines of config.yaml are YAML: Flink quotes a value that needs
// it, and those quotes are not the user's. The scripts take them for shell quotes all the same, which hides the
// variables inside, and lose a value of several lines together with all other options.
func (b *builder) optionValue(key string) string {
	v := b.value(key, "")
	if !b.rules.flattened || !b.Standard || v == "" || strings.IndexByte(`'"|>`, v[0]) < 0 {
		return v
	}
	if v == "''" {
		return ""
	}
	b.differ("%s is read without the quotes that YAML adds to its value", key)
	if e, ok := b.Conf.Get(key); ok {
		return strings.TrimSpace(e.Value.Reveal())
	}
	if quoted, ok := strings.CutPrefix(v, "'"); ok {
		return strings.TrimSpace(strings.ReplaceAll(strings.TrimSuffix(quoted, "'"), "''", "'"))
	}
	return v
}

// variableOptions returns a variable with Java options. One of the environment may have quotes around the whole value, which a list
// in a compose file keeps: the scripts remove them with `eval echo` and split what was in them.
func (b *builder) variableOptions(name string) string {
	value := b.sh.get(name)
	if b.rules.evaluate && value != "" && value == b.sh.initial[name] {
		return flinkconf.UnquoteOptions("env.java.opts", value)
	}
	return value
}

// javaOptionVariables composes FLINK_ENV_JAVA_OPTS and the variables of the processes, where the environment has none.
func (b *builder) javaOptionVariables() {
	compose := func(defaultKey, own string) string {
		opts := own
		if b.rules.defaultOpts && defaultKey != "" {
			opts = b.optionValue(defaultKey) + " " + opts
		}
		return b.unquote(opts, own)
	}
	if b.sh.get("FLINK_ENV_JAVA_OPTS") == "" {
		var opts string
		for _, key := range b.rules.optionKeys {
			if b.value(key, "") != "" { // from config.yaml, an empty value is ''
				opts = b.optionValue(key)
				break
			}
		}
		opts = compose("env.java.default-opts.all", opts)
		if b.rules.ignoreUnrecognized {
			opts = "-XX:+IgnoreUnrecognizedVMOptions " + opts
		}
		if b.rules.securityManager && b.Java.Spec > 17 {
			opts += " -Djava.security.manager=allow"
		}
		b.sh.set("FLINK_ENV_JAVA_OPTS", opts)
	}
	for _, s := range b.rules.optionSettings() {
		switch {
		case b.sh.get(s.name) != "":
		case s.name == b.script.optionsVar:
			b.sh.set(s.name, compose(s.defaultKey, b.optionValue(s.key)))
		default:
			b.sh.set(s.name, b.otherProcessOptions(s))
		}
	}
}

// otherProcessOptions is the value of a variable that this process has no use for, and that only shows in its
// environment.
func (b *builder) otherProcessOptions(s optionSetting) string {
	opts := b.value(s.key, "")
	if b.rules.defaultOpts && s.defaultKey != "" {
		opts = b.value(s.defaultKey, "") + " " + opts
	}
	return withoutOuterQuotes(opts)
}

// withoutOuterQuotes does `sed -e 's/^"//' -e 's/"$//'`.
func withoutOuterQuotes(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`) }

// unquote removes outer quotes of composed options as config.sh does, which is meant for quotes around a whole value in
// flink-conf.yaml. Where own, the value in the file, just ends with a quoted word, that would cut the word's quote, and
// the scripts lose all options: the quote stays then.
func (b *builder) unquote(options, own string) string {
	stripped := withoutOuterQuotes(options)
	if b.rules.evaluate && len(stripped) == len(options)-2 && !onePair(options) && balanced(options) {
		if sameButBlanks(options, stripped) {
			return options // the scripts join "a" "b" to one word and split it again at its blanks
		}
		b.splitQuoted = true // the quotes that are left are not where the user put pairs of them
	}
	yaml := b.rules.flattened && b.Standard
	if stripped == options || !b.keepQuotes || !b.rules.evaluate || !yaml && onePair(own) || balanced(stripped) || !balanced(options) {
		return stripped
	}
	b.differ("a double quote that ends Java options stays with its word; Flink's scripts remove it and lose all options")
	return options
}

// onePair reports whether options are one pair of double quotes and what is in it.
func onePair(options string) bool {
	return flinkconf.UnquoteOptions("env.java.opts", options) != options
}

// sameButBlanks reports whether two texts are the same options, except for blanks that quotes hold together in one of them.
func sameButBlanks(a, b string) bool {
	evaluated := func(options string) ([]string, error) {
		e := &evaluation{lookup: func(string) (string, bool) { return "x", true }}
		words, err := e.words(options)
		return fields(strings.Join(words, " ")), err
	}
	first, err := evaluated(a)
	if err != nil {
		return false
	}
	second, err := evaluated(b)
	return err == nil && slices.Equal(first, second)
}

func balanced(options string) bool {
	e := &evaluation{lookup: func(string) (string, bool) { return "", false }}
	_, err := e.words(options)
	return err == nil
}

// hadoop finds the configuration directories of Hadoop and HBase.
func (b *builder) hadoop() {
	sh := b.sh
	first := func(dirs ...string) string {
		for _, dir := range dirs {
			if b.isDir(dir) {
				return dir
			}
		}
		return ""
	}
	if home := sh.get("HADOOP_HOME"); sh.get("HADOOP_CONF_DIR") == "" && home != "" {
		if dir := first(home+"/etc/hadoop", home+"/conf"); dir != "" {
			sh.set("HADOOP_CONF_DIR", dir)
		}
	}
	if sh.get("HADOOP_CONF_DIR") == "" && sh.get("HADOOP_CLASSPATH") == "" {
		if dir := first("/etc/hadoop/conf"); dir != "" {
			sh.set("HADOOP_CONF_DIR", dir)
		}
	}
	if sh.get("HBASE_CONF_DIR") == "" {
		dirs := []string{"/etc/hbase/conf"}
		if home := sh.get("HBASE_HOME"); home != "" {
			dirs = []string{home + "/conf", "/etc/hbase/conf"}
		}
		if dir := first(dirs...); dir != "" {
			sh.set("HBASE_CONF_DIR", dir)
		}
	}
	paths := sh.get("HADOOP_CLASSPATH") + ":" + sh.get("HADOOP_CONF_DIR") + ":" + sh.get("YARN_CONF_DIR")
	if dir := sh.get("HBASE_CONF_DIR"); dir != "" {
		paths += ":" + dir
	}
	sh.set("INTERNAL_HADOOP_CLASSPATHS", paths)
}

// rooted places an absolute path below Request.Root.
func (b *builder) rooted(path string) string {
	if b.Root == "" || !strings.HasPrefix(path, "/") {
		return path
	}
	return filepath.Join(b.Root, path)
}

func (b *builder) isDir(path string) bool {
	st, err := os.Stat(b.rooted(path))
	return err == nil && st.IsDir()
}

// classpath is $FLINK_TM_CLASSPATH:$SQL_GATEWAY_CLASSPATH:$INTERNAL_HADOOP_CLASSPATHS without the empty elements
// that the scripts leave in it: they mean the working directory.
func (b *builder) classpath() ([]string, error) {
	elements := b.Home.Jars()
	if !b.Role.IsClient() {
		b.sh.set("FLINK_TM_CLASSPATH", strings.Join(elements, ":"))
	}
	var err error
	var last string
	switch b.Role {
	case SQLGateway:
		var gateway []string
		gateway, err = b.gatewayJars()
		elements = append(elements, gateway...)
	case FlinkClient:
		b.sh.set("CC_CLASSPATH", strings.Join(elements, ":"))
	case SQLClient:
		elements, last, err = b.sqlClientJars(elements)
	}
	if err != nil {
		return nil, err
	}
	elements = append(elements, strings.Split(b.sh.get("INTERNAL_HADOOP_CLASSPATHS"), ":")...)
	elements = append(elements, last)
	elements = append(elements, b.ExtraClasspath...)
	all := len(elements)
	elements = slices.DeleteFunc(elements, func(e string) bool { return e == "" })
	if last == "" {
		all-- // not of the scripts
	}
	if len(elements) < all || b.rules.gateway && !b.Role.IsClient() { // from 1.16 on the gateway's empty part is always between two colons
		b.differ("the class path has no empty elements, which would mean the working directory")
	}
	if locale := b.locale(); locale != "" && locale != "POSIX" && locale != "C" && !strings.HasPrefix(locale, "C.") {
		b.differ("the class path is sorted by bytes, not by the locale %s", locale)
	}
	return elements, nil
}

// locale is the one that sort uses.
func (b *builder) locale() string {
	for _, name := range []string{"LC_ALL", "LC_COLLATE", "LANG"} {
		if v := b.sh.get(name); v != "" {
			return v
		}
	}
	return ""
}

func (b *builder) gatewayJars() ([]string, error) {
	const name = "flink-sql-gateway"
	jars, err := b.Home.OptJars(name)
	if err != nil {
		return nil, err
	}
	if len(jars) != 1 {
		e := &distribution.Error{
			Message: fmt.Sprintf("Flink sql gateway jar not found in %s: expected one %s*.jar", b.Home.OptDir, name),
			Hint:    "use a complete Flink distribution; the jar is on Maven Central as org.apache.flink:flink-sql-gateway",
		}
		if len(jars) > 1 {
			e.Message = fmt.Sprintf("Multiple %s*.jar found in %s: %s", name, b.Home.OptDir, strings.Join(jars, ", "))
			e.Hint = "leave exactly one of them"
		}
		return nil, e
	}
	if b.rules.python {
		python, err := b.Home.OptJars("flink-python")
		if err != nil {
			return nil, err
		}
		if len(python) == 0 {
			b.warn("Flink python jar not found in %s", b.Home.OptDir)
		}
		jars = append(jars, python...)
	}
	return jars, nil
}

// sqlClientJars adds what sql-client.sh takes from the opt directory: what the class path, as a text, does not name yet. The client's
// own jar may be last, after Hadoop's class path.
func (b *builder) sqlClientJars(elements []string) (all []string, last string, err error) {
	const client = "flink-sql-client"
	named := func(part string) bool { // [[ "$CC_CLASSPATH" =~ .*flink-python.*.jar ]]
		_, rest, ok := strings.Cut(strings.Join(elements, ":"), part)
		return ok && len(rest) > 0 && strings.Contains(rest[1:], "jar")
	}
	own, err := b.Home.OptFiles(client)
	if err != nil {
		return nil, "", err
	}
	b.sh.set("FLINK_SQL_CLIENT_JAR", strings.Join(own, "\n"))
	add := func(part, variable string) error {
		if named(part) {
			return nil
		}
		jars, err := b.Home.OptFiles(part)
		if err != nil {
			return err
		}
		if len(jars) > 1 {
			b.differ("each of %s is an element of the class path; Flink's script makes one element of them, which does not exist", strings.Join(jars, ", "))
		}
		b.sh.set(variable, strings.Join(jars, "\n"))
		elements = append(elements, jars...)
		return nil
	}
	if err := add("flink-python", "FLINK_PYTHON_JAR"); err != nil {
		return nil, "", err
	}
	if b.rules.sqlClientGateway {
		if err := add("flink-sql-gateway", "FLINK_SQL_GATEWAY_JAR"); err != nil {
			return nil, "", err
		}
	}
	b.sh.set("CC_CLASSPATH", strings.Join(elements, ":"))
	switch {
	case named(client):
		return elements, "", nil
	case len(own) == 0:
		return nil, "", &distribution.Error{
			Message: fmt.Sprintf("Flink SQL client jar not found: expected one %s*.jar in %s or %s", client, b.Home.OptDir, b.Home.LibDir),
			Hint:    "use a complete Flink distribution; the jar is on Maven Central as org.apache.flink:flink-sql-client",
		}
	case len(own) > 1:
		return nil, "", &distribution.Error{
			Message: fmt.Sprintf("Multiple %s*.jar found in %s: %s", client, b.Home.OptDir, strings.Join(own, ", ")),
			Hint:    "leave exactly one of them",
		}
	}
	b.sqlClientJar = own[0]
	if b.rules.sqlClientJarFirst {
		return append(elements, own[0]), "", nil
	}
	return elements, own[0], nil
}

// logging does the log part of flink-console.sh: names, and the properties that tell them to the logging system.
func (b *builder) logging() []string {
	sh := b.sh
	if sh.get("FLINK_IDENT_STRING") == "" {
		sh.set("FLINK_IDENT_STRING", sh.get("USER"))
	}
	ident := sh.get("FLINK_IDENT_STRING")
	sh.array("log_setting")
	if b.Role.IsClient() {
		log := fmt.Sprintf("%s/flink-%s-%s-%s.log", sh.get("FLINK_LOG_DIR"), ident, b.script.service, sh.get("HOSTNAME"))
		sh.set("log", log)
		return b.logOptions(log, "log4j-cli.properties", "logback.xml")
	}
	pid := fmt.Sprintf("%s/flink-%s-%s.pid", sh.get("FLINK_PID_DIR"), ident, b.script.service)
	id := strconv.Itoa(b.livePidLines(pid))
	prefix := fmt.Sprintf("%s/flink-%s-%s-%s-%s", sh.get("FLINK_LOG_DIR"), ident, b.script.service, id, sh.get("HOSTNAME"))
	sh.set("FLINK_LOG_PREFIX", prefix)
	for name, value := range map[string]string{
		"SERVICE": b.script.service, "CLASS_TO_RUN": b.script.class, "pid": pid, "id": id, "log": prefix + ".log",
	} {
		sh.set(name, value)
	}
	var options []string
	if b.rules.redirect {
		sh.set("out", prefix+".out")
		sh.set("err", prefix+".err")
		if sh.get("STD_REDIRECT_TO_FILE") == "true" {
			options = append(options, "-Dconsole.log.level=OFF")
			b.cmd.Stdout, b.cmd.Stderr = prefix+".out", prefix+".err"
		}
	}
	return append(options, b.logOptions(prefix+".log", "log4j-console.properties", "logback-console.xml")...)
}

// logOptions names the log file and the configurations of the logging systems.
func (b *builder) logOptions(log, log4j, logback string) []string {
	return []string{
		"-Dlog.file=" + log,
		"-Dlog4j.configuration=file:" + b.ConfDir + "/" + log4j,
		"-Dlog4j.configurationFile=file:" + b.ConfDir + "/" + log4j,
		"-Dlogback.configurationFile=file:" + b.ConfDir + "/" + logback,
	}
}

// livePidLines returns the number in the log file's name: the lines of the pid file, or 0 if no process in it runs.
func (b *builder) livePidLines(path string) int {
	content, err := os.ReadFile(b.rooted(path))
	if err != nil {
		return 0
	}
	alive := b.Alive
	if alive == nil {
		alive = func(pid int) bool { return syscall.Kill(pid, 0) == nil }
	}
	lines, live := 0, false
	for line := range strings.Lines(string(content)) {
		if !strings.HasSuffix(line, "\n") {
			break // neither `while read` nor `wc -l` counts it
		}
		lines++
		for _, word := range fields(line) {
			if pid, err := strconv.Atoi(word); err == nil && pid > 0 && alive(pid) {
				live = true
			}
		}
	}
	if !live {
		return 0
	}
	return lines
}

// javaOptions splits FLINK_ENV_JAVA_OPTS into options, and leaves in the variable what the scripts leave.
func (b *builder) javaOptions() ([]string, error) {
	text := b.sh.get("FLINK_ENV_JAVA_OPTS")
	if !b.rules.evaluate {
		return fields(text), nil
	}
	ev := &evaluation{lookup: b.sh.lookup, splitQuoted: b.splitQuoted}
	words, err := ev.words(text)
	if err != nil {
		return nil, b.optionsError(err)
	}
	for _, w := range ev.warnings {
		b.warn("env.java.opts: %s", w)
	}
	for _, d := range ev.differences {
		b.differ("%s", d)
	}
	b.sh.set("FLINK_ENV_JAVA_OPTS", strings.Join(words, " "))
	return slices.DeleteFunc(words, func(w string) bool { return w == "" }), nil
}

// optionsError names the keys that the options came from, not the options: they may hold secrets. Places are counted in the
// value that the user wrote, not in the options that are put together from several.
func (b *builder) optionsError(err error) error {
	type origin struct{ name, text string }
	var origins []origin
	add := func(keys ...string) {
		for _, key := range keys {
			if key == "" || b.value(key, "") == "" {
				continue
			}
			name := key
			if e, ok := b.Conf.Get(key); ok && e.Source.Where != "" {
				name += " (" + e.Source.Where + ")"
			}
			origins = append(origins, origin{name, b.optionValue(key)})
		}
	}
	variable := func(name string) bool { // one of the environment replaces the keys
		text := b.sh.initial[name]
		if text != "" {
			origins = append(origins, origin{name, text})
		}
		return text != ""
	}
	if !variable("FLINK_ENV_JAVA_OPTS") {
		for _, key := range b.rules.optionKeys {
			if b.value(key, "") != "" {
				add(key)
				break
			}
		}
		if b.rules.defaultOpts {
			add("env.java.default-opts.all")
		}
	}
	for _, s := range b.rules.optionSettings() {
		if s.name == b.script.optionsVar && !variable(s.name) {
			add(s.key)
			if b.rules.defaultOpts {
				add(s.defaultKey)
			}
		}
	}
	var places []string
	what := err.Error()
	if e := (*unbalancedError)(nil); errors.As(err, &e) {
		what = e.in("")
	}
	for _, o := range origins {
		e := &evaluation{lookup: b.sh.lookup}
		var own *unbalancedError
		if _, err := e.words(o.text); errors.As(err, &own) {
			places, what = []string{o.name}, own.in(o.text)
			break
		}
		if strings.ContainsAny(o.text, "'\"`$") {
			places = append(places, o.name)
		}
	}
	e := &Error{
		Message: fmt.Sprintf("Java options of %s: %s", strings.Join(places, ", "), what),
		Hint:    "Flink's scripts would start Java without any of these options: close the quote, or put a backslash before it",
	}
	if !b.Standard && b.rules.flattened {
		e.Hint += "; flink-conf.yaml needs no quotes around a value"
	}
	return e
}

func (b *builder) warn(format string, args ...any) {
	b.cmd.Warnings = append(b.cmd.Warnings, fmt.Sprintf(format, args...))
}

func (b *builder) differ(format string, args ...any) {
	b.cmd.Differences = append(b.cmd.Differences, fmt.Sprintf(format, args...))
}

// openForRedirect truncates or creates a file as `exec 1>FILE` does.
func openForRedirect(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return nil, fmt.Errorf("cannot write %s: %w", path, pe.Err)
	}
	return f, err
}
