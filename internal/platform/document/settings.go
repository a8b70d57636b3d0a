package document

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/validate"
	"flink-entrypoint/internal/yaml"
)

// Settings are what the platform itself needs of a definition.
type Settings struct {
	// OneJob: the application has one Flink job, which gets the run's own id. Otherwise it may have several.
	OneJob           bool
	HighAvailability bool
	ResultStore      string // of high availability: the directory of the job result store, in which each cluster has one; "" where it is a secret
	ResultsChosen    bool   // the user says how long they are kept
	Streaming        bool
	Sized            bool // the definition says how large the containers are
	JobManagers      int
	TaskManagers     int
	Restarts         int           // by the restart policy, in a row; a session cluster is restarted without end unless it says otherwise
	Backoff          time.Duration // before the first of them; doubled each time
	StartWithin      time.Duration
	LostAfter        time.Duration // without an answer, until the run is lost
	Flink            string        // the minor version that it is for; "": any
	Election         string        // of high availability: kubernetes, zookeeper
	JobManager       Size          // of the containers
	TaskManager      Size
	Secrets          []string // of the team, whose files the pods read
	Session          string   // the session cluster that the job runs on; empty: a cluster of its own

	catalogs     []string
	catalogNodes []*yaml.Node
	session      *yaml.Node // of Session
}

// A Size is what the definition says of a container. Zero values: nothing that can be read here.
type Size struct {
	Memory int64  // bytes
	CPU    string // a number, also 500m
}

// sizeOf reads a size. A process size that the user set decides where the container has none: one that is larger than its container is killed.
func sizeOf(c jobdef.Container, def *jobdef.Definition, process string) Size {
	var s Size
	if text, ok := c.Memory.Plain(); ok && text != "" && text != "auto" {
		s.Memory, _, _ = memory.ParseContainerSize(text) // jobdef has checked it
	} else if size, err := flinkconf.ParseMemorySize(setting(def, process)); err == nil {
		s.Memory = size
	}
	s.CPU, _ = c.CPU.Plain()
	return s
}

// KeepResults is the key by which Flink removes the result of a job from the job result store when everything of the job is removed. The platform
// keeps them: a JobManager that takes over does not know how a job ended before.
const KeepResults = "job-result-store.delete-on-commit"

// The field x-platform of a definition. The entrypoint ignores fields that begin with x-.
const field = "x-platform"

// SettingsOf reads the settings of a stored definition of a job or session cluster.
func SettingsOf(kind store.Kind, document []byte) (Settings, error) {
	def, err := jobdef.Decode("definition", document)
	if err != nil {
		return Settings{}, err
	}
	doc, err := yaml.Read(document, limits)
	if err != nil {
		return Settings{}, err
	}
	s, faults := read(kind, doc.Root, def)
	if len(faults) > 0 {
		return s, faults
	}
	return s, nil
}

// read reads x-platform. Unknown fields are faults, as everywhere in a definition.
func read(kind store.Kind, root *yaml.Node, def *jobdef.Definition) (Settings, api.Faults) {
	s := Settings{JobManagers: 1, TaskManagers: taskManagers(def), StartWithin: 5 * time.Minute, LostAfter: 10 * time.Second, Backoff: 10 * time.Second,
		Sized: !def.Resources.JobManager.Memory.IsZero() || !def.Resources.TaskManager.Memory.IsZero()}
	s.Flink, _ = def.FlinkVersion.Plain()
	s.JobManager = sizeOf(def.Resources.JobManager, def, "jobmanager.memory.process.size")
	s.TaskManager = sizeOf(def.Resources.TaskManager, def, "taskmanager.memory.process.size")
	s.HighAvailability = def.HighAvailability != nil && !strings.EqualFold(def.HighAvailability.Type, "none")
	s.Streaming = !strings.EqualFold(setting(def, "execution.runtime-mode"), "batch")
	if s.HighAvailability {
		s.Election = strings.ToLower(def.HighAvailability.Type)
		s.JobManagers, s.ResultStore, s.ResultsChosen = 2, resultStore(def), setting(def, KeepResults) != ""
	}
	if kind == store.KindCluster {
		s.Restarts, s.Backoff = math.MaxInt, time.Second
	} else {
		s.OneJob = oneJob(def, s.HighAvailability)
	}
	n := root.Get(field)
	if n == nil {
		return s, nil
	}
	r := reader{}
	fields := map[string]func(*yaml.Node, string){
		"catalogs": func(n *yaml.Node, path string) {
			if n.Kind != yaml.SequenceNode {
				r.wrong(n, path, "expected a list of names of stored catalogs", "catalogs: [ods]")
				return
			}
			for _, item := range n.Items {
				s.catalogs, s.catalogNodes = append(s.catalogs, item.Text), append(s.catalogNodes, item)
			}
		},
		"secrets": func(n *yaml.Node, path string) {
			if n.Kind != yaml.SequenceNode {
				r.wrong(n, path, "expected a list of names of Secrets of Kubernetes", "secrets: [orders-db]: Secret TEAM.orders-db; its files are in /run/secrets/orders-db")
				return
			}
			for _, item := range n.Items {
				if !secretName.MatchString(item.Text) {
					r.wrong(item, path, fmt.Sprintf("%.80q is not the name of a Secret", item.Text), "small letters, digits and hyphens, without the name of the team")
				}
				s.Secrets = append(s.Secrets, item.Text)
			}
		},
		"jobManagers":  func(n *yaml.Node, path string) { s.JobManagers = r.number(n, path, 1, 9) },
		"taskManagers": func(n *yaml.Node, path string) { s.TaskManagers = r.number(n, path, 1, 1000) },
		"startWithin":  func(n *yaml.Node, path string) { s.StartWithin = r.duration(n, path) },
		"lostAfter":    func(n *yaml.Node, path string) { s.LostAfter = r.duration(n, path) },
		"restart": func(n *yaml.Node, path string) {
			r.mapping(n, path, map[string]func(*yaml.Node, string){
				"attempts": func(n *yaml.Node, path string) { s.Restarts = r.number(n, path, 0, 1000) },
				"backoff":  func(n *yaml.Node, path string) { s.Backoff = r.duration(n, path) },
			})
		},
		"cluster": func(n *yaml.Node, path string) {
			word, name, _ := strings.Cut(n.Text, " ")
			if s.Session = strings.TrimSpace(name); n.Kind != yaml.ScalarNode || word != "session" || s.Session == "" {
				r.wrong(n, path, "expected: session NAME", "cluster: session shared; flink-platform clusters lists them")
			}
			s.session = n
		},
	}
	if kind == store.KindCluster { // what is of a job alone is unknown
		delete(fields, "catalogs")
		delete(fields, "cluster")
		if !s.HighAvailability {
			delete(fields, "jobManagers")
		}
	}
	r.mapping(n, field, fields)
	if s.session != nil {
		s.OneJob = true
		for _, of := range []string{"jobManagers", "taskManagers", "secrets"} {
			if other := n.Get(of); other != nil {
				r.wrong(other, field+"."+of, "the job runs on a session cluster, which has its own", "say it in the definition of the cluster")
			}
		}
	}
	return s, r.faults
}

// secretName is a name without a dot: the driver writes the team before it.
var secretName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// resultStore is where Flink's FileSystemJobResultStore has the directories of clusters. With a path of its own (job-result-store.storage-path)
// it has one for all, which is not read.
func resultStore(def *jobdef.Definition) string {
	dir, ok := def.HighAvailability.StorageDir.Plain()
	if !ok || def.HighAvailability.StorageDir.IsZero() {
		dir = setting(def, "high-availability.storageDir")
	}
	if dir == "" || setting(def, "job-result-store.storage-path") != "" {
		return ""
	}
	return strings.TrimSuffix(dir, "/") + "/job-result-store"
}

// oneJob: the INSERTs of a streaming script are one job; a batch script runs one after the other, and a jar does what it wants.
func oneJob(def *jobdef.Definition, highAvailability bool) bool {
	if highAvailability || !def.ID.IsZero() {
		return true
	}
	text, ok := plainScript(def)
	if !ok {
		return false
	}
	options := validate.Application(def, versionOf(def))
	options.FixedJobID = true
	_, err := sqlrunner.Judge([]sqlrunner.Part{{Text: text}}, options)
	return err == nil
}

// taskManagers is how many a job needs by its parallelism and the slots of each.
func taskManagers(def *jobdef.Definition) int {
	number := func(text string, ok bool) int {
		n, err := strconv.Atoi(text)
		if !ok || err != nil || n < 1 {
			return 1
		}
		return n
	}
	slots := number(def.Resources.TaskManager.Slots.Plain())
	if def.Resources.TaskManager.Slots.IsZero() {
		slots = number(setting(def, "taskmanager.numberOfTaskSlots"), true)
	}
	parallelism := number(setting(def, "parallelism.default"), true)
	return (parallelism + slots - 1) / slots
}

type reader struct{ faults api.Faults }

func (r *reader) wrong(n *yaml.Node, path, message, hint string) {
	r.faults = append(r.faults, fault(n, path, path+": "+message, hint))
}

func (r *reader) mapping(n *yaml.Node, path string, fields map[string]func(*yaml.Node, string)) {
	if n.Kind != yaml.MappingNode {
		r.wrong(n, path, "expected a mapping", "")
		return
	}
	for _, p := range n.Pairs {
		read := fields[p.Key.Text]
		if read == nil {
			r.wrong(p.Key, path, fmt.Sprintf("unknown field %.80q", p.Key.Text), "known: "+strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
			continue
		}
		read(p.Value, path+"."+p.Key.Text)
	}
}

func (r *reader) number(n *yaml.Node, path string, least, most int) int {
	v, err := strconv.Atoi(n.Text)
	if err != nil || v < least || v > most {
		r.wrong(n, path, fmt.Sprintf("found %.80q, expected a whole number from %d to %d", n.Text, least, most), "")
		return least
	}
	return v
}

// duration reads 30 s, 5 min, 1 h, and Go's form (90s).
func (r *reader) duration(n *yaml.Node, path string) time.Duration {
	text := strings.ReplaceAll(strings.ReplaceAll(n.Text, " ", ""), "min", "m")
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		r.wrong(n, path, fmt.Sprintf("found %.80q, expected a duration", n.Text), "30 s, 5 min or 1 h")
		return time.Minute
	}
	return d
}
