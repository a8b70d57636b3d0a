package flinkconf

import "testing"

func TestUnquoteOptions(t *testing.T) {
	const key = "env.java.opts.taskmanager"
	for value, want := range map[string]string{
		`"-Da=1 -Db=2"`:      `-Da=1 -Db=2`,
		`'-Da=1 -Db=2'`:      `-Da=1 -Db=2`,
		` "-Da=1" `:          `-Da=1`,
		`" -Da=1 "`:          `-Da=1`,
		`""`:                 ``,
		`''`:                 ``,
		`"'-Da=1'"`:          `'-Da=1'`, // one pair
		`""-Da=1""`:          `""-Da=1""`,
		`"-Da='x y' -Db=1"`:  `-Da='x y' -Db=1`,
		`'-Da="x y" -Db=1'`:  `-Da="x y" -Db=1`,
		`"-Da=\"x\" -Db=1"`:  `-Da=\"x\" -Db=1`, // as config.sh leaves it
		`"-Da=\\"`:           `-Da=\\`,
		`"-Da=\"`:            `"-Da=\"`,
		`'-Da=''x y'' -Db'`:  `-Da='x y' -Db`, // YAML's single quotes
		`'-Da=1''-Db=2'`:     `'-Da=1''-Db=2'`,
		`"-Da=1" "-Db=2"`:    `"-Da=1" "-Db=2"`,
		`'-Da=1' '-Db=2'`:    `'-Da=1' '-Db=2'`,
		`"-Da=1" -Db="2"`:    `"-Da=1" -Db="2"`,
		`-Da="1"`:            `-Da="1"`,
		`"-Da=1'`:            `"-Da=1'`,
		`"`:                  `"`,
		``:                   ``,
		`"-Da=${X} -Db=$Y"`:  `-Da=${X} -Db=$Y`,
		`"-Dü=1 -Db=\u00e9"`: `-Dü=1 -Db=\u00e9`,
	} {
		if got := UnquoteOptions(key, value); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
	for key, want := range map[string]string{
		"env.java.opts": "x", "env.java.opts.all": "x", "env.java.opts.sql-gateway": "x", "env.java.default-opts.jobmanager": "x",
		"env.java.home": `"x"`, "env.ssh.opts": `"x"`, "pipeline.name": `"x"`,
	} {
		if got := UnquoteOptions(key, `"x"`); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
}
