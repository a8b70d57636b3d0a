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
	b.keepQuotes = true
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

// javaOptionVariables composes FLINK_ENV_JAVA_OPTS and those of the processes, where the environment has none.
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
	yaml := b.rules.flattened && b.Standard
	if stripped == options || !b.keepQuotes || !b.rules.evaluate || !yaml && strings.HasPrefix(own, `"`) || balanced(stripped) || !balanced(options) {
		return stripped
	}
	b.differ("a double quote that ends Java options stays with its word; Flink's scripts remove it and lose all options")
	return options
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
	jars := b.Home.Jars()
	b.sh.set("FLINK_TM_CLASSPATH", strings.Join(jars, ":"))
	elements := jars
	if b.Role == SQLGateway {
		gateway, err := b.gatewayJars()
		if err != nil {
			return nil, err
		}
		elements = append(elements, gateway...)
	}
	elements = append(elements, strings.Split(b.sh.get("INTERNAL_HADOOP_CLASSPATHS"), ":")...)
	elements = append(elements, b.ExtraClasspath...)
	all := len(elements)
	elements = slices.DeleteFunc(elements, func(e string) bool { return e == "" })
	if len(elements) < all || b.rules.gateway { // from 1.16 on the gateway's empty part always stands between two colons
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

// logging does the log part of flink-console.sh: names, and the properties that tell them to the logging system.
func (b *builder) logging() []string {
	sh := b.sh
	if sh.get("FLINK_IDENT_STRING") == "" {
		sh.set("FLINK_IDENT_STRING", sh.get("USER"))
	}
	ident := sh.get("FLINK_IDENT_STRING")
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
	conf := b.ConfDir
	return append(options,
		"-Dlog.file="+prefix+".log",
		"-Dlog4j.configuration=file:"+conf+"/log4j-console.properties",
		"-Dlog4j.configurationFile=file:"+conf+"/log4j-console.properties",
		"-Dlogback.configurationFile=file:"+conf+"/logback-console.xml")
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
	ev := &evaluation{lookup: b.sh.lookup}
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

// optionsError names the keys that the options came from, not the options: they may hold secrets.
func (b *builder) optionsError(err error) error {
	var places []string
	keys := append([]string(nil), b.rules.optionKeys...)
	for _, s := range b.rules.optionSettings() {
		if s.name == b.script.optionsVar {
			keys = append(keys, s.key, s.defaultKey)
		}
	}
	if b.rules.defaultOpts {
		keys = append(keys, "env.java.default-opts.all")
	}
	for _, key := range keys {
		if !strings.ContainsAny(b.value(key, ""), "'\"`$") {
			continue
		}
		place := key
		if e, ok := b.Conf.Get(key); ok && e.Source.Where != "" {
			place += " (" + e.Source.Where + ")"
		}
		places = append(places, place)
	}
	if len(places) == 0 {
		places = []string{"FLINK_ENV_JAVA_OPTS"}
	}
	e := &Error{
		Message: fmt.Sprintf("Java options of %s: %v", strings.Join(places, ", "), err),
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
