package jobdef

import (
	"net/url"
	"path"
	"strconv"
	"strings"

	"flink-entrypoint/internal/yaml"
)

// A record is what a mapping may hold. The functions below are the table of all fields: the decoder, the schema and
// the reference page are made from it.
type record struct {
	fields     []field
	rules      []rule
	extensible bool // fields that begin with "x-" are ignored
}

// A field is one row of the table.
type field struct {
	name     string
	value    value
	required bool
	doc      string // Markdown, one line
	example  string // YAML, flow style
	hint     string // when it is missing
}

// A rule is about several fields of one record. Its check runs only where all fields are known ones with a value, which
// need not be right.
type rule struct {
	check  func(d *decoder, n *yaml.Node, path string)
	schema func() object // what of it JSON Schema can say; nil: nothing
	doc    string        // Markdown, one line
}

// atMostOne refuses fields that exclude each other.
func atMostOne(why, a, b string) rule {
	return rule{
		check: func(d *decoder, n *yaml.Node, path string) {
			if x, y := n.Get(a), n.Get(b); x != nil && y != nil {
				if x.Content.Offset > y.Content.Offset {
					y = x
				}
				d.problem(y, path, a+" and "+b+" exclude each other", why)
			}
		},
		schema: func() object { return object{{"not", object{{"required", []string{a, b}}}}} },
		doc:    "`" + a + "` and `" + b + "` exclude each other.",
	}
}

// exactlyOne demands one of two fields.
func exactlyOne(a, b string) rule {
	return rule{
		check: func(d *decoder, n *yaml.Node, path string) {
			if (n.Get(a) != nil) == (n.Get(b) != nil) {
				d.problem(n, path, "expected exactly one of "+a+" and "+b, "")
			}
		},
		schema: func() object {
			return object{{"oneOf", []object{{{"required", []string{a}}}, {{"required", []string{b}}}}}}
		},
		doc: "Exactly one of `" + a + "` and `" + b + "`.",
	}
}

func definitionTable(def *Definition) record {
	return record{
		extensible: true,
		fields: []field{
			{name: "apiVersion", value: bare{into: &def.APIVersion, choices: []string{APIVersion}}, required: true, hint: "add apiVersion: " + APIVersion,
				doc: "Version of this format.", example: APIVersion},
			{name: "name", value: text{&def.Name, lineForm}, required: true,
				doc: "Name of the job: `pipeline.name`.", example: "clicks-per-minute"},
			{name: "id", value: text{&def.ID, jobIDForm},
				doc: "Flink's job id. High availability and savepoints find a redeployed job by its fixed id. If it is not set, Flink chooses one.", example: `"00000000000000000000000000000001"`},
			{name: "flinkVersion", value: text{&def.FlinkVersion, minorForm},
				doc: "Refuse to run on another minor version of Flink.", example: `"2.2"`},
			{name: "resources", value: part{resourcesTable(&def.Resources)},
				doc: "Sizes of the containers, where they are not detected."},
			{name: "configuration", value: configuration{&def.Configuration},
				doc:     "Flink's configuration, flat or nested. Values are strings, numbers, booleans, references, or lists of these. Overrides the image's files; `FLINK_PROPERTIES` and `-D` override it.",
				example: "{state.backend.type: rocksdb, execution: {checkpointing: {interval: 1 min}}}"},
			{name: "highAvailability", value: one[HighAvailability]{&def.HighAvailability, highAvailabilityTable},
				doc: "High availability: how the JobManagers and TaskManagers of one cluster find each other and their state."},
			{name: "logging", value: one[Logging]{&def.Logging, loggingTable},
				doc: "Levels of log4j's loggers, written to `log4j-console.properties`."},
			{name: "metrics", value: one[Metrics]{&def.Metrics, metricsTable},
				doc: "How the processes report their metrics. See [monitoring.md](monitoring.md)."},
			{name: "artifacts", value: many[Artifact]{&def.Artifacts, artifactTable, distinctArtifacts},
				doc: "Files to fetch before Flink starts, on JobManagers and TaskManagers alike."},
			{name: "sql", value: one[SQL]{&def.SQL, sqlTable},
				doc: "A SQL job."},
			{name: "jar", value: one[Jar]{&def.Jar, jarTable},
				doc: "A job in a jar."},
			{name: "savepoint", value: one[Savepoint]{&def.Savepoint, savepointTable},
				doc: "The savepoint that the job starts from."},
		},
		rules: []rule{atMostOne("a definition is one job", "sql", "jar"), {
			check: func(d *decoder, n *yaml.Node, _ string) {
				if def.Jar == nil {
					return
				}
				uri, plain := def.Jar.URI.Plain()
				jar := n.Get("jar").Get("uri")
				for i, a := range def.Artifacts {
					other, also := a.URI.Plain()
					if plain && also && jar != nil && a.To == "usrlib" && JarName(uri) != "" && FileName(other) == JarName(uri) {
						d.problem(jar, "jar.uri", "would be stored as "+quote("usrlib/"+JarName(uri))+", the same file as "+item("artifacts", i), "give one of them another name")
					}
				}
			},
			doc: "`jar` and an artifact in `usrlib` have different file names.",
		}},
	}
}

func resourcesTable(r *Resources) record {
	return record{fields: []field{
		{name: "jobManager", value: part{record{fields: containerFields(&r.JobManager)}}, doc: "A JobManager's container."},
		{name: "taskManager", value: part{record{fields: append(containerFields(&r.TaskManager),
			field{name: "slots", value: text{&r.TaskManager.Slots, slotsForm},
				doc: "`taskmanager.numberOfTaskSlots`; `auto`: one slot per whole CPU.", example: "2"})}}, doc: "A TaskManager's container."},
	}}
}

func containerFields(c *Container) []field {
	return []field{
		{name: "memory", value: text{&c.Memory, memoryForm},
			doc:     "Size of the container. With `auto`, and without the field, its limit is detected. Lower case is Flink's spelling (`1600m` = 1600 MiB), a capital or an `i` is Kubernetes' (`1600Mi`, `2G` = 2,000,000,000 bytes).",
			example: "1600m"},
		{name: "cpu", value: text{&c.CPU, cpuForm}, doc: "CPUs of the container.", example: "1"},
	}
}

func highAvailabilityTable(ha *HighAvailability) record {
	return record{
		fields: []field{
			{name: "type", value: bare{into: &ha.Type, choices: []string{"zookeeper", "kubernetes", "none"}}, required: true,
				doc: "Where leaders are elected: `high-availability.type`.", example: "zookeeper"},
			{name: "clusterId", value: text{&ha.ClusterID, lineForm},
				doc: "Name that all processes of one cluster share: `high-availability.cluster-id`, and `kubernetes.cluster-id` for Kubernetes.", example: "clicks"},
			{name: "storageDir", value: text{&ha.StorageDir, uriForm},
				doc: "Where a JobManager stores what its successor needs: `high-availability.storageDir`.", example: `"s3://ha/clicks"`},
			{name: "quorum", value: text{&ha.Quorum, lineForm},
				doc: "ZooKeeper's servers: `high-availability.zookeeper.quorum`.", example: `"zk-0:2181,zk-1:2181"`},
		},
		rules: []rule{
			{
				check: func(d *decoder, n *yaml.Node, path string) {
					if ha.Type != "none" && n.Get("clusterId") == nil {
						d.problem(n, path, "the field clusterId is missing", "without it all clusters share one")
					}
				},
				schema: func() object {
					return object{{"if", object{{"properties", object{{"type", object{{"const", "none"}}}}}}}, {"else", object{{"required", []string{"clusterId"}}}}}
				},
				doc: "`clusterId` is required unless `type` is `none`.",
			},
			{
				check: func(d *decoder, n *yaml.Node, path string) {
					if q := n.Get("quorum"); q != nil && (ha.Type == "kubernetes" || ha.Type == "none") {
						d.problem(q, child(path, "quorum"), "is for ZooKeeper only, but the type is "+ha.Type, "")
					}
				},
				schema: func() object {
					return object{{"if", object{{"required", []string{"quorum"}}}}, {"then", object{{"properties", object{{"type", object{{"const", "zookeeper"}}}}}}}}
				},
				doc: "`quorum` is for `type: zookeeper` only.",
			},
		},
	}
}

func loggingTable(l *Logging) record {
	levels := []string{"OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"}
	return record{fields: []field{
		{name: "level", value: bare{into: &l.Level, choices: levels}, doc: "Level of the root logger.", example: "INFO"},
		{name: "loggers", value: loggers{&l.Loggers, levels}, doc: "Level of each logger, by its name.", example: "{org.apache.kafka: WARN}"},
	}}
}

func metricsTable(m *Metrics) record {
	return record{fields: []field{
		{name: "prometheus", value: brief[Prometheus]{one: one[Prometheus]{&m.Prometheus, prometheusTable}, short: shortPrometheus,
			plain: object{{"type", "boolean"}}, what: "boolean"},
			doc: "`true`: each process has an endpoint that Prometheus scrapes.", example: "true"},
		{name: "otlp", value: brief[OTLP]{one: one[OTLP]{&m.OTLP, otlpTable}, short: shortOTLP, plain: textSchema(httpForm), what: httpForm.row().expected},
			doc: "A receiver that gets the metrics by OTLP, from Flink 2.0 on, if the reporter's jar is in the image.", example: `"http://collector:4317"`},
		{name: "labels", value: labels{&m.Labels},
			doc: "Labels of every metric, beside Flink's own and `flink_job` (from Flink 1.15 on).", example: "{team: web, env: production}"},
	}}
}

func prometheusTable(p *Prometheus) record {
	return record{
		fields: []field{{name: "port", value: text{&p.Port, portsForm},
			doc: "Port of the endpoint, or a range of which each process takes the first free one. By default `9249-9259`.", example: "9249"}},
		rules: []rule{{
			check: func(d *decoder, n *yaml.Node, path string) {
				s, plain := p.Port.Plain()
				if first, last, ok := Ports(s); plain && ok && first > last {
					d.problem(n.Get("port"), child(path, "port"), "the range "+s+" ends before it begins", "")
				}
			},
			doc: "A range of ports does not end before it begins.",
		}},
	}
}

func shortPrometheus(d *decoder, n *yaml.Node, path string) *Prometheus {
	on := false
	boolean{&on}.decode(d, n, path)
	if !on {
		return nil
	}
	return new(Prometheus)
}

func otlpTable(o *OTLP) record {
	return record{fields: []field{
		{name: "url", value: text{&o.URL, httpForm}, required: true,
			doc: "The receiver: without a path over gRPC, with the path of its metrics over HTTP (from Flink 2.2 on).", example: `"http://collector:4318/v1/metrics"`},
		{name: "interval", value: text{&o.Interval, intervalForm}, doc: "Time between two reports; Flink's default is 10 s.", example: "30 s"},
	}}
}

func shortOTLP(d *decoder, n *yaml.Node, path string) *OTLP {
	return &OTLP{URL: d.text(n, path, httpForm)}
}

func artifactTable(a *Artifact) record {
	a.To = "usrlib"
	return record{
		fields: []field{
			{name: "uri", value: text{&a.URI, uriForm}, required: true,
				doc: "Where it is: a path, `file:`, `http:` or `https:`. The last part of the path is the file's name.", example: `"https://repo.example.com/udf-1.2.jar"`},
			{name: "sha256", value: text{&a.SHA256, sha256Form},
				doc: "Digest that it must have. With it, a restarted container downloads nothing again.", example: `"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"`},
			{name: "to", value: bare{into: &a.To, form: placeForm},
				doc: "Where it goes: `usrlib` (the default; the job's class path), `run` (the folder `artifacts` of the run directory), `lib` (Flink's class path) or `plugins/NAME`.", example: "usrlib"},
		},
		rules: []rule{
			{
				check: func(d *decoder, n *yaml.Node, path string) {
					if a.To != "usrlib" && a.To != "run" && isPlace(a.To) && n.Get("sha256") == nil {
						d.problem(n, path, "the field sha256 is missing", "what goes to "+a.To+" becomes part of Flink, so its digest must be pinned")
					}
				},
				schema: func() object {
					return object{{"if", object{{"properties", object{{"to", object{{"pattern", "^(lib$|plugins/)"}}}}}, {"required", []string{"to"}}}},
						{"then", object{{"required", []string{"sha256"}}}}}
				},
				doc: "`sha256` is required where `to` is `lib` or `plugins/NAME`.",
			},
			{
				check: func(d *decoder, n *yaml.Node, path string) {
					if uri, plain := a.URI.Plain(); plain && isLine(uri) {
						d.fileName(n.Get("uri"), child(path, "uri"), FileName(uri), a.To, ", or keep it with to: run")
					}
				},
			},
		},
	}
}

// fileName reports a name of a file that no file system can hold, or that no class path of its place can. The hint ends with otherwise.
func (d *decoder) fileName(n *yaml.Node, path, name, to, otherwise string) {
	switch {
	case name == "":
		d.problem(n, path, "does not end in the name of a file", "")
	case len(name) > 255:
		d.problem(n, path, "ends in a name of "+strconv.Itoa(len(name))+" bytes, a file's name has at most 255", "")
	case Unloadable(to, name) != "":
		d.problem(n, path, "ends in a name with "+Unloadable(to, name), "give the file another name"+otherwise)
	}
}

// Unloadable tells which character of a path prevents that a jar is loaded from there, and why; "" where none does. to is the
// place of an artifact. Flink makes the URL of a jar in usrlib of its path without escaping it (FileUtils.toURL), and Java's
// class loader unescapes it: the jar is then not found, or, where two hexadecimal digits do not follow a '%', no class at all.
// Measured with Flink 1.20.5 and 2.2.1, where the class path and the plugins load such names.
func Unloadable(to, path string) string {
	in := func(chars string) string {
		if i := strings.IndexAny(path, chars); i >= 0 {
			return "'" + path[i:i+1] + "'"
		}
		return ""
	}
	if c := in(":"); c != "" && to != "run" {
		return c + ", which separates the elements of a class path"
	}
	if c := in("#?%"); c != "" && to == "usrlib" {
		return c + ", which Flink's class loader takes for a part of a URL: it would not find the file"
	}
	return ""
}

// JarName returns the name under which the job's jar is kept: Flink finds jars in usrlib by their ".jar". It is "" where
// [FileName] is.
func JarName(uri string) string {
	name := FileName(uri)
	if name != "" && !strings.HasSuffix(name, ".jar") {
		name += ".jar"
	}
	return name
}

// FileName returns the name under which an artifact is kept, "" if the URI has none that is safe.
func FileName(uri string) string {
	if u, err := url.Parse(uri); err == nil && len(u.Scheme) > 1 {
		uri = u.Path
		if u.Opaque != "" {
			uri = u.Opaque
		}
	}
	_, name := path.Split(uri)
	if name == "." || name == ".." || !isLine(name) || strings.ContainsAny(name, `/\`) {
		return ""
	}
	return name
}

// distinctArtifacts refuses two artifacts that would be one file.
func distinctArtifacts(d *decoder, n *yaml.Node, path string, artifacts []Artifact) {
	seen := make(map[string]int, len(artifacts))
	for i, a := range artifacts {
		uri, plain := a.URI.Plain()
		name := FileName(uri)
		if !plain || name == "" {
			continue
		}
		file := a.To + "/" + name
		if first, ok := seen[file]; ok {
			d.problem(n.Items[i].Get("uri"), child(item(path, i), "uri"), "would be stored as "+quote(file)+", the same file as "+item(path, first), "")
			continue
		}
		seen[file] = i
	}
}

// distinct refuses two items of the same name. Names that are references are not known yet.
func distinct[T any](what string, fold bool, name func(T) Text) func(d *decoder, n *yaml.Node, path string, items []T) {
	return func(d *decoder, n *yaml.Node, path string, items []T) {
		seen := make(map[string]int, len(items))
		for i, e := range items {
			s, plain := name(e).Plain()
			if !plain {
				continue
			}
			if fold {
				s = strings.ToLower(s)
			}
			if first, ok := seen[s]; ok {
				d.problem(n.Items[i].Get("name"), child(item(path, i), "name"), "the "+what+" "+quote(s)+" occurs twice, first as "+item(path, first), "")
				continue
			}
			seen[s] = i
		}
	}
}

func sqlTable(s *SQL) record {
	return record{
		fields: []field{
			{name: "set", value: settings{into: &s.Set},
				doc: "`SET` statements, in this order, before anything else.", example: "{table.exec.state.ttl: 1 h}"},
			{name: "modules", value: many[Module]{&s.Modules, moduleTable, distinct("module", false, func(m Module) Text { return m.Name })},
				doc: "Modules to load, in this order (`LOAD MODULE`)."},
			{name: "useModules", value: texts{&s.UseModules, lineForm},
				doc: "Names of the modules in use, in the order in which functions are looked up (`USE MODULES`).", example: "[core, hive]"},
			{name: "catalogs", value: many[Catalog]{&s.Catalogs, catalogTable, distinct("catalog", false, func(c Catalog) Text { return c.Name })},
				doc: "Catalogs to create, in this order."},
			{name: "functions", value: many[Function]{&s.Functions, functionTable, distinct("function", true, func(f Function) Text { return f.Name })},
				doc: "Functions to register, in this order, in the catalog and database of `use`."},
			{name: "use", value: one[Use]{&s.Use, useTable}, doc: "Current catalog and database of the script."},
			{name: "script", value: text{&s.Script, someForm}, doc: "The script.", example: `"INSERT INTO sink SELECT * FROM source;"`},
			{name: "scriptUri", value: text{&s.ScriptURI, uriForm}, doc: "Where the script is, instead of `script`. It has the same forms as an artifact's `uri`."},
			{name: "scriptSha256", value: text{&s.ScriptSHA256, sha256Form}, doc: "Digest that the script at `scriptUri` must have."},
		},
		rules: []rule{atMostOne("", "script", "scriptUri"), {
			check: func(d *decoder, n *yaml.Node, path string) {
				if n.Get("scriptSha256") != nil && n.Get("scriptUri") == nil {
					d.problem(n.Get("scriptSha256"), child(path, "scriptSha256"), "is the digest of the script at scriptUri, but scriptUri is missing", "")
				}
			},
			schema: func() object { return object{{"dependentRequired", object{{"scriptSha256", []string{"scriptUri"}}}}} },
			doc:    "`scriptSha256` goes with `scriptUri`.",
		}},
	}
}

func moduleTable(m *Module) record {
	return record{fields: []field{
		{name: "name", value: text{&m.Name, lineForm}, required: true, doc: "Name of the module, which is also its type.", example: "hive"},
		{name: "options", value: settings{into: &m.Options, refused: "type", why: "the name of a module is its type"},
			doc: "Its options.", example: "{hive-version: 3.1.3}"},
	}}
}

func catalogTable(c *Catalog) record {
	return record{
		fields: []field{
			{name: "name", value: text{&c.Name, lineForm}, doc: "Name of the catalog.", example: "ods"},
			{name: "options", value: settings{into: &c.Options, required: "type", why: "it says what kind of catalog this is"},
				doc: "Its options; `type` is one of them.", example: "{type: hive, hive-conf-dir: /etc/hive}"},
			{name: "createStatement", value: text{&c.CreateStatement, someForm},
				doc: "Instead of name and options: one `CREATE CATALOG` statement, as a metadata service stores it.", example: `"CREATE CATALOG dim WITH ('type'='generic_in_memory')"`},
		},
		rules: []rule{
			exactlyOne("name", "createStatement"),
			{
				check: func(d *decoder, n *yaml.Node, path string) {
					if (n.Get("name") != nil) != (n.Get("options") != nil) && n.Get("name") != nil {
						d.problem(n, path, "the field options is missing", "its option type says what kind of catalog this is")
					} else if n.Get("options") != nil && n.Get("createStatement") != nil {
						d.problem(n.Get("options"), path, "options and createStatement exclude each other", "")
					}
				},
				schema: func() object {
					return object{{"dependentRequired", object{{"name", []string{"options"}}, {"options", []string{"name"}}}}}
				},
				doc: "`name` and `options` go together.",
			},
		},
	}
}

func functionTable(f *Function) record {
	f.Language = "JAVA"
	return record{
		fields: []field{
			{name: "name", value: text{&f.Name, lineForm}, required: true,
				doc: "Its name; `database.name` or `catalog.database.name` puts it into a catalog.", example: "parse_ua"},
			{name: "class", value: text{&f.Class, classForm}, required: true,
				doc: "The class, or for Python `module.name`.", example: "com.example.ParseUa"},
			{name: "language", value: bare{into: &f.Language, choices: []string{"JAVA", "SCALA", "PYTHON"}}, doc: "Its language; `JAVA` by default.", example: "JAVA"},
			{name: "temporary", value: boolean{&f.Temporary}, doc: "`false`: the function is stored in its catalog. By default functions are temporary.", example: "true"},
			{name: "system", value: boolean{&f.System},
				doc: "The function belongs to no catalog and is found from all of them. The default for a simple name, unless `temporary` is `false`.", example: "true"},
			{name: "jars", value: texts{&f.Jars, uriForm}, doc: "Jars that hold the function: names of artifacts, or URIs that Flink can read (`USING JAR`).", example: "[udf-1.2.jar]"},
		},
		rules: []rule{
			{
				check: func(d *decoder, n *yaml.Node, path string) {
					stored := n.Get("temporary") != nil && !f.Temporary
					qualified := isQualified(f.Name.text)
					if f.System && stored {
						d.problem(n.Get("temporary"), child(path, "temporary"), "a system function is always temporary", "")
					}
					if f.System && qualified {
						d.problem(n.Get("system"), child(path, "system"), "a system function belongs to no catalog, but its name has one", "")
					}
					f.Temporary = !stored
					if n.Get("system") == nil {
						f.System = f.Temporary && !qualified
					}
				},
				schema: func() object {
					return object{{"if", object{{"properties", object{{"system", object{{"const", true}}}}}, {"required", []string{"system"}}}},
						{"then", object{{"properties", object{{"temporary", object{{"const", true}}}}}}}}
				},
				doc: "`system: true` goes with neither `temporary: false` nor a name in a catalog.",
			},
			{
				check: func(d *decoder, n *yaml.Node, path string) {
					if f.Language == "PYTHON" && len(f.Jars) > 0 {
						d.problem(n.Get("jars"), child(path, "jars"), "a Python function has no jars", "")
					}
				},
				schema: func() object {
					return object{{"if", object{{"properties", object{{"language", object{{"const", "PYTHON"}}}}}, {"required", []string{"language"}}}},
						{"then", object{{"properties", object{{"jars", object{{"maxItems", 0}}}}}}}}
				},
				doc: "`jars` are not for `language: PYTHON`.",
			},
		},
	}
}

// isQualified reports whether a name has a dot outside of backticks.
func isQualified(name string) bool {
	inside := false
	for i := range len(name) {
		switch {
		case name[i] == '`':
			inside = !inside
		case name[i] == '.' && !inside:
			return true
		}
	}
	return false
}

func useTable(u *Use) record {
	return record{
		fields: []field{
			{name: "catalog", value: text{&u.Catalog, lineForm}, doc: "Current catalog (`USE CATALOG`).", example: "ods"},
			{name: "database", value: text{&u.Database, lineForm}, doc: "Current database of it (`USE`).", example: "default"},
		},
	}
}

func jarTable(j *Jar) record {
	return record{rules: []rule{{
		check: func(d *decoder, n *yaml.Node, path string) {
			if uri, plain := j.URI.Plain(); plain && isLine(uri) {
				d.fileName(n.Get("uri"), child(path, "uri"), JarName(uri), "usrlib", "")
			}
		},
	}}, fields: []field{
		{name: "uri", value: text{&j.URI, uriForm}, required: true, doc: "Where the jar is. It has the same forms as an artifact's `uri`. A file name without `.jar` gets that ending.", example: `"https://repo.example.com/job-1.0.jar"`},
		{name: "sha256", value: text{&j.SHA256, sha256Form}, doc: "Digest that it must have."},
		{name: "entryClass", value: text{&j.EntryClass, classForm}, doc: "Class whose `main` method is the job. By default the class that the jar's manifest names.", example: "com.example.Main"},
		{name: "args", value: texts{&j.Args, anyForm}, doc: "Arguments of `main`.", example: `["--window", "60"]`},
	}}
}

func savepointTable(s *Savepoint) record {
	return record{fields: []field{
		{name: "path", value: text{&s.Path, uriForm}, required: true, doc: "The savepoint's directory or metadata file.", example: `"s3://savepoints/clicks/savepoint-1"`},
		{name: "allowNonRestoredState", value: boolean{&s.AllowNonRestoredState},
			doc: "Ignore state of the savepoint for which the job has no operator.", example: "false"},
	}}
}

// referenceTable is what a mapping in the place of a string may hold.
func referenceTable(file, variable *string) record {
	return record{
		fields: []field{
			{name: "fromFile", value: bare{into: file, form: fileForm}, doc: "Path of a file. One line break at its end is not part of the string.", example: "/run/secrets/password"},
			{name: "fromEnv", value: bare{into: variable, form: variableForm}, doc: "Name of an environment variable.", example: "DB_PASSWORD"},
		},
		rules: []rule{exactlyOne("fromFile", "fromEnv")},
	}
}
