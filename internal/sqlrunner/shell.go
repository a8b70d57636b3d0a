package sqlrunner

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/sqltext"
)

// refusal says why no table environment executes a statement, and what to do instead.
type refusal struct{ message, hint string }

// maxRefused is how many commands of a shell are named.
const maxRefused = 50

const (
	removeHint  = "remove it"
	clusterHint = "ask the cluster: its web page, its REST API, or the command flink"
)

// shellCommand tells the statements that are for a client: sql-client's own commands, and what sql-client has a SQL
// gateway execute. Flink's parser knows most of them, and its table environment answers with a list of all that it
// knows (TableEnvironmentImpl.UNSUPPORTED_QUERY_IN_EXECUTE_SQL_MSG, 1.13 to 2.3).
func (p *preparer) shellCommand(s statement) (refusal, bool) {
	switch s.Kind {
	case sqltext.Quit:
		return refusal{word(s, 0) + " ends a client's session: the statements after it would not run", "remove it, or the statements after it"}, !p.final(s)
	case sqltext.Clear, sqltext.Help:
		return refusal{word(s, 0) + " is a command of sql-client, not a statement of a job", removeHint}, true
	case sqltext.Source:
		return refusal{"SOURCE is a command of an SQL shell, not a statement of a job", "replace it by the statements of that file"}, true
	case sqltext.RemoveJar:
		return refusal{"REMOVE JAR is for a client's session: a job keeps its jars", removeHint}, true
	case sqltext.AddJar:
		return refusal{neededForJars("ADD JAR"), "name the jar in artifacts of a definition, or put it into lib or usrlib"}, !p.Flink.Reaches(sqltext.JarStatements())
	case sqltext.Show:
		switch word(s, 1) {
		case "JOBS":
			return refusal{"SHOW JOBS is for a SQL gateway, not a statement of a job", clusterHint}, true
		case "JARS":
			return refusal{neededForJars("SHOW JARS"), removeHint}, !p.Flink.Reaches(sqltext.JarStatements())
		}
	case sqltext.Describe:
		if word(s, 1) == "JOB" {
			return refusal{"DESCRIBE JOB is for a SQL gateway, not a statement of a job", clusterHint}, true
		}
	case sqltext.Other:
		if word(s, 0) == "STOP" && word(s, 1) == "JOB" {
			return refusal{"STOP JOB is for a SQL gateway, not a statement of a job", clusterHint}, true
		}
	}
	return refusal{}, false
}

func neededForJars(statement string) string {
	return fmt.Sprintf("%s in a job needs Flink %s or later", statement, sqltext.JarStatements())
}

// final reports whether nothing but QUIT and EXIT follows in the script.
func (p *preparer) final(s statement) bool { return s.Number > p.lastBeforeQuit[s.part] }

// word returns the word at i of a statement in upper case, "" if there is another token.
func word(s statement, i int) string {
	for t := range s.Significant() {
		if i--; i >= 0 {
			continue
		}
		if t.Kind == sqltext.Word {
			return strings.ToUpper(t.Text)
		}
		break
	}
	return ""
}
