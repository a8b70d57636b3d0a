package wall

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// lookEvery is how often the memory of programs is looked at, where no cgroup bounds it.
const lookEvery = 250 * time.Millisecond

// enter begins to look at the memory of a cell.
func (w *Wall) enter(c *Cell) {
	if w.group != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cells[c] = true
	if !w.watch {
		w.watch = true
		go w.look()
	}
}

func (w *Wall) leave(c *Cell) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.cells, c)
}

// look ends programs that hold too much, as long as there are programs.
func (w *Wall) look() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for range tick.C {
		w.mu.Lock()
		var cells []*Cell
		for c := range w.cells {
			cells = append(cells, c)
		}
		if len(cells) == 0 {
			w.watch = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		children := childrenOfAll()
		for _, c := range cells {
			if held(c.First(), children) > w.o.Memory {
				c.end(tooMuch(w.o.Memory))
			}
		}
	}
}

// childrenOfAll are the children of each process of this machine. A process whose parent has ended is a child of the first one of its
// namespace.
func childrenOfAll() map[int][]int {
	out := map[int][]int{}
	dir, err := os.Open("/proc")
	if err != nil {
		return out
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what was read is what there is
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		if parent, ok := parentIn(string(stat)); ok {
			out[parent] = append(out[parent], pid)
		}
	}
	return out
}

// parentIn reads a line of /proc/PID/stat. The name, in brackets, may have brackets and blanks.
func parentIn(stat string) (int, bool) {
	i := strings.LastIndex(stat, ") ")
	if i < 0 {
		return 0, false
	}
	f := strings.Fields(stat[i+2:])
	if len(f) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(f[1])
	return parent, err == nil
}

// held is how many bytes a process and its descendants hold that are not those of files.
func held(pid int, children map[int][]int) (sum int64) {
	if pid <= 0 {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err == nil {
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			if name == "RssAnon" || name == "RssShmem" {
				kib, _, _ := strings.Cut(strings.TrimSpace(value), " ")
				n, _ := strconv.ParseInt(kib, 10, 64) // the kernel's
				sum += n << 10
			}
		}
	}
	below := children[pid]
	delete(children, pid) // numbers may have changed hands while they were read: no circle
	for _, child := range below {
		sum += held(child, children)
	}
	return sum
}
