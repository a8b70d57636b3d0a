package cgroup

import (
	"fmt"
	"path"
	"strings"
)

// hierarchy is where a controller's files are.
type hierarchy struct {
	source string   // V1 or V2
	dirs   []string // this process's cgroup and its ancestors as far as they are visible, the nearest first
	own    bool     // the first of dirs is this process's cgroup
	lost   string   // a sentence, if the own cgroup is not visible
}

// world is what /proc shows about cgroups.
type world struct {
	members []member
	mounts  []mount  // of cgroup file systems
	lxcfs   []string // mount points of files that show the container as if it were the machine
}

func (t tree) world() (w world, err error) {
	if w.members, err = list(t, "/proc/self/cgroup", "ID:CONTROLLERS:/PATH", parseMember); err != nil {
		return w, err
	}
	all, err := list(t, "/proc/self/mountinfo", "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG…] - TYPE SOURCE OPTIONS", parseMount)
	for i, m := range all {
		if m.kind == "fuse.lxcfs" {
			w.lxcfs = append(w.lxcfs, m.point)
		}
		if m.kind != "cgroup" && m.kind != "cgroup2" {
			continue
		}
		hidden := false // by a later mount at the same place
		for _, later := range all[i+1:] {
			hidden = hidden || later.point == m.point
		}
		if !hidden {
			w.mounts = append(w.mounts, m)
		}
	}
	return w, err
}

// virtual reports whether lxcfs replaces a file of the machine.
func (w world) virtual(file string) bool {
	for _, point := range w.lxcfs {
		if file == point || strings.HasPrefix(file, point+"/") {
			return true
		}
	}
	return false
}

// find returns where a controller's files are. One that v1 has is not in v2, so on a hybrid system each
// controller is looked for on its own.
func (t tree) find(controller string, w world) hierarchy {
	for _, m := range w.members {
		if listed(m.controllers, controller) {
			if at := w.mounted("cgroup", controller); len(at) > 0 {
				return t.climb(V1, m.path, at)
			}
		}
	}
	for _, m := range w.members {
		if m.controllers == "" {
			return t.climb(V2, m.path, w.mounted("cgroup2", ""))
		}
	}
	return hierarchy{}
}

// mounted returns the mounts of a kind; of v1 only the mounts of a controller.
func (w world) mounted(kind, controller string) (at []mount) {
	for _, m := range w.mounts {
		if m.kind == kind && (controller == "" || listed(m.options, controller)) {
			at = append(at, m)
		}
	}
	return at
}

// listed reports whether name is one of the comma-separated list.
func listed(list, name string) bool {
	return strings.Contains(","+list+",", ","+name+",")
}

// climb collects the cgroups from own up that any of the mounts shows: one may show the container alone,
// another the whole tree.
func (t tree) climb(source, own string, mounts []mount) hierarchy {
	h := hierarchy{source: source}
	top := -1
	for _, m := range mounts {
		top = max(top, levelsAbove(m.root))
	}
	for at := own; levelsAbove(at) <= top; at = parent(at) {
		for _, m := range mounts {
			if rest, ok := below(at, m.root); ok {
				if d := path.Join(m.point, rest); t.exists(d) {
					h.dirs = append(h.dirs, d)
					h.own = h.own || at == own
					break
				}
			}
		}
	}
	switch {
	case h.own || top < 0:
	case len(h.dirs) > 0:
		h.lost = fmt.Sprintf("this process is in cgroup %q, which is not visible: limits are read from %s and its parents", own, h.dirs[0])
	default:
		// Moved out of the namespace or the mount since the container started. What is mounted is still the
		// container that this process was started for.
		h.dirs, h.own = []string{mounts[0].point}, true
		h.lost = fmt.Sprintf("this process is in cgroup %q, which is not mounted: the limits at %s are used as its own", own, h.dirs[0])
	}
	return h
}

// noMemory says why no memory limit was found, "" if the kernel was asked and has none.
func (t tree) noMemory(w world, h hierarchy) string {
	switch {
	case len(w.members) == 0 && !t.exists("/proc/self/cgroup"):
		return "/proc/self/cgroup is missing, which names this process's cgroup"
	case len(w.members) == 0:
		return "/proc/self/cgroup is empty"
	case h.source == "":
		for _, m := range w.members {
			if listed(m.controllers, "memory") {
				return "the memory controller of cgroup v1 is not mounted"
			}
		}
		return "/proc/self/cgroup names no memory controller"
	case len(h.dirs) == 0:
		return "/proc/self/mountinfo names no mounted " + h.source
	}
	file := "memory.max"
	if h.source == V1 {
		file = "memory.limit_in_bytes"
	}
	for _, dir := range h.dirs {
		if t.exists(dir + "/" + file) {
			return ""
		}
	}
	dir := h.dirs[0]
	if h.source == V2 {
		controllers, ok, _ := t.read(dir+"/cgroup.controllers", "")
		controllers = strings.Join(strings.Fields(controllers), " ")
		switch {
		case ok && !strings.Contains(" "+controllers+" ", " memory "):
			return fmt.Sprintf("the memory controller is not enabled for this cgroup (%s/cgroup.controllers: %.80q)", dir, controllers)
		case ok && len(h.dirs) == 1 && !t.exists(dir+"/cgroup.type"):
			return "this is the root cgroup (" + dir + "), which has no limit"
		}
	}
	return dir + "/" + file + " is missing: this is the root cgroup, or the memory controller is off"
}

// below returns the path from the cgroup root to the cgroup at. No cgroup is called "..", so a path that has it after its
// start is not from the kernel, and leads nowhere.
func below(at, root string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(at, strings.TrimSuffix(root, "/"))
	return rest, ok && (rest == "" || rest[0] == '/') && !strings.Contains(rest+"/", "/../")
}

// levelsAbove counts the leading ".." of a cgroup path: how far above the namespace's root it starts.
func levelsAbove(p string) int {
	n := 0
	for ; p == "/.." || strings.HasPrefix(p, "/../"); p = p[3:] {
		n++
	}
	return n
}

// parent of a cgroup: of "/a" it is "/", of "/" it is "/..", and so on.
func parent(p string) string {
	p = strings.TrimRight(p, "/")
	if len(p) == 3*levelsAbove(p) {
		return p + "/.."
	}
	return "/" + strings.TrimPrefix(p[:strings.LastIndexByte(p, '/')], "/")
}
