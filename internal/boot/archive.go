package boot

import (
	"flink-entrypoint/internal/classarchive"
	"flink-entrypoint/internal/environ"
)

// ArchiveName is the name of the archive that a role starts from. The JobManagers and TaskManagers of native Kubernetes have the class
// path of the roles that run without Kubernetes, and almost all of their classes.
func ArchiveName(role string) string {
	switch role {
	case "kubernetes-session":
		return "jobmanager"
	case "kubernetes-application":
		return "standalone-job"
	case "kubernetes-taskmanager":
		return "taskmanager"
	}
	return role
}

// classArchive lets the process start from an archive of its classes, where there is one that fits and no option of the
// user's decides about archives.
func (r *Run) classArchive(p *Plan, vars environ.Vars) {
	cmd := p.Command
	if r.mode == Train || cmd.ClassPath == nil {
		return
	}
	if classarchive.Decided(cmd.Options, vars.Get) != "" {
		return
	}
	file, warning := classarchive.Find(r.opts.ClassArchive, p.Home.Dir, ArchiveName(r.role), p.Java, cmd.ClassPath)
	if warning != "" {
		r.Warn("%s", warning)
	}
	if file != "" {
		cmd.Prepend(classarchive.UseOptions(file, p.Java.Spec)...)
		cmd.Differences = append(cmd.Differences, "the classes come from the archive "+file+", made by flink-entrypoint warmup; Flink's scripts use none")
	}
}
