package boot

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/sqlrunner"
)

// jobOption is an option of standalone-job (StandaloneApplicationClusterConfigurationParserFactory).
type jobOption struct {
	short, long string
	value       bool // it takes one
}

func jobOptionTable() []jobOption {
	return []jobOption{
		{"D", "", true}, {"c", "configDir", true}, {"h", "host", true}, {"r", "webui-port", true}, {"x", "executionMode", true},
		{"j", "job-classname", true}, {"jid", "job-id", true}, {"s", "fromSavepoint", true}, {"n", "allowNonRestoredState", false},
		{"rm", "restoreMode", true}, {"cm", "claimMode", true}, {"jars", "jars", true},
	}
}

// jobWords reads the words behind standalone-job as Flink's parser does, which stops at the first one that is no option. given
// holds the long names of the options; program is what is left for the job.
func jobWords(words []string) (given map[string]bool, program []string) {
	given = map[string]bool{}
	table := jobOptionTable()
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			return given, words[i+1:]
		}
		name, _, joined := strings.Cut(word, "=")
		at := slices.IndexFunc(table, func(o jobOption) bool {
			return name == "-"+o.short || o.long != "" && (name == "--"+o.long || name == "-"+o.long)
		})
		switch {
		case at >= 0:
			o := table[at]
			given[o.long] = true
			if o.value && !joined {
				i++
			}
		case strings.HasPrefix(word, "-D"):
		default:
			return given, words[i:]
		}
	}
	return given, nil
}

// jobOptions puts the job's options before the user's arguments: id, savepoint, and the class of a jar job. What the arguments or a
// stronger layer of the configuration say instead wins: Flink takes the first of two options, and an option before a key.
func (g *gatherer) jobOptions() error {
	given, program := jobWords(g.world.Args)
	d := g.def
	if d.SQL.Runs() {
		if given["job-classname"] {
			return fail(Usage, fmt.Errorf("--job-classname behind standalone-job, and the definition has a SQL job, which %s runs", sqlrunner.MainClass), "take one of them away")
		}
		if len(program) > 0 {
			return fail(Usage, fmt.Errorf("%q behind standalone-job is no option of Flink's, and a SQL job takes no arguments", program[0]), "options go before -D, values behind their option")
		}
	}
	conf, err := flinkconf.ApplyDynamicArgs(g.conf.want, g.world.Args, g.plan.Home.Version)
	if err != nil {
		conf = g.conf.want // Flink's complaint is reported where its memory is calculated
	}
	option := func(name string, t jobdef.Text, keys ...string) error {
		value, err := g.argument(t)
		if err != nil || value == "" {
			return err
		}
		if given[name] {
			g.warnf("--%s behind the role counts, not the definition's %s", name, t.Path())
			return nil
		}
		for _, key := range keys {
			if e, ok := conf.Get(key); ok && e.Source.Layer > flinkconf.Definition {
				g.warnf("%s (%s) counts, not the definition's %s", key, e.Source.Where, t.Path())
				return nil
			} else if ok && e.Source.Layer == flinkconf.Definition && e.Value.Reveal() != value {
				g.warnf("%s: the definition's %s counts, not its configuration", key, t.Path())
			}
		}
		g.jobArgs = append(g.jobArgs, "--"+name, value)
		return nil
	}
	if err := option("job-id", d.ID, "$internal.pipeline.job-id"); err != nil {
		return err
	}
	if s := d.Savepoint; s != nil {
		if err := option("fromSavepoint", s.Path, "execution.state-recovery.path", "execution.savepoint.path"); err != nil {
			return err
		}
		if s.AllowNonRestoredState && !given["allowNonRestoredState"] {
			g.jobArgs = append(g.jobArgs, "--allowNonRestoredState")
		}
	}
	if d.Jar == nil {
		return nil
	}
	if err := option("job-classname", d.Jar.EntryClass); err != nil {
		return err
	}
	for _, a := range d.Jar.Args {
		text, err := g.argument(a)
		if err != nil {
			return err
		}
		g.programArgs = append(g.programArgs, text)
	}
	return nil
}
