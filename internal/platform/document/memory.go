package document

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/jobdef"
)

// Sizes is what of a definition decides the memory of its processes.
type Sizes struct {
	Definition []byte   // has nothing else: no script, no file, no value that only a pod can read
	Sized      bool     // it says how large the containers are
	Notes      []string // what was left out
}

// ofMemory are the keys, and prefixes of keys, that Flink's memory model reads.
var ofMemory = []string{"external-resource.", "external-resources", "jobmanager.heap.", "jobmanager.memory.", "parallelism.default", "taskmanager.cpu.", "taskmanager.heap.", "taskmanager.memory.",
	"taskmanager.network.memory.", "taskmanager.numberOfTaskSlots"}

// SizesOf reads them from a stored definition. Everything else stays out: a key such as env.java.home would make the one who explains the
// memory run a program that the definition names.
func SizesOf(document []byte) (Sizes, error) {
	def, err := jobdef.Decode("definition", document)
	if err != nil {
		return Sizes{}, err
	}
	s := Sizes{Sized: !def.Resources.JobManager.Memory.IsZero() || !def.Resources.TaskManager.Memory.IsZero()}
	text := func(into object, name string, t jobdef.Text) object {
		plain, ok := t.Plain()
		switch {
		case ok:
			return append(into, member{name, plain})
		case t.IsReference():
			s.Notes = append(s.Notes, fmt.Sprintf("%s is %s, which only the pod can read: it is not counted", t.Path(), t))
		}
		return into
	}
	container := func(c jobdef.Container) object {
		return text(text(text(object{}, "memory", c.Memory), "cpu", c.CPU), "slots", c.Slots)
	}
	out := object{{"apiVersion", jobdef.APIVersion}, {"name", "memory"}}
	out = text(out, "flinkVersion", def.FlinkVersion)
	resources := object{}
	for _, r := range []member{{"jobManager", container(def.Resources.JobManager)}, {"taskManager", container(def.Resources.TaskManager)}} {
		if len(r.value.(object)) > 0 {
			resources = append(resources, r)
		}
	}
	if len(resources) > 0 {
		out = append(out, member{"resources", resources})
	}
	configuration := object{}
	for _, c := range def.Configuration {
		if slices.ContainsFunc(ofMemory, func(prefix string) bool { return strings.HasPrefix(c.Key, prefix) }) {
			configuration = text(configuration, c.Key, c.Value)
		}
	}
	if len(configuration) > 0 {
		out = append(out, member{"configuration", configuration})
	}
	var b bytes.Buffer
	write(&b, out)
	b.WriteByte('\n')
	s.Definition = b.Bytes()
	return s, nil
}
