// Package vm runs programs under a real Linux kernel whose cgroups are ours alone: a throw-away virtual
// machine boots from memory, builds the cgroup trees it was asked for, runs a static program in each and is
// gone. The machine these tests run on may have cgroup v1, or no right to make a cgroup; the kernel inside
// (Debian's cloud kernel) has v2. It is emulated, KVM or not, so that it is the same everywhere; a whole suite takes seconds.
//
// [Boot] starts it; init is its first process; probe is the program most tests run.
package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// View is how the program sees the cgroup file systems.
type View string

const (
	Whole   View = ""        // the whole tree, no namespace of its own: --cgroupns=host of a privileged container
	Private View = "private" // own cgroup namespace and mount: what Docker and Kubernetes do on v2
	Bound   View = "bound"   // no namespace, only its own cgroup is mounted: what runc does with --cgroupns=host
	Both    View = "both"    // as Private, and the whole tree at /host/cgroup as a monitoring agent mounts it
)

// Case is one program in one cgroup.
type Case struct {
	Name  string
	Make  []Cgroup // in this order; removed afterwards
	In    string   // cgroup that the program runs in
	View  View
	Leave string   // cgroup that it is moved to once its namespace is made
	User  int      // uid and gid
	Lock  []string // files made unreadable for User before it starts
	Argv  []string
	Env   []string
}

// Cgroup is a cgroup to make, in every hierarchy there is.
type Cgroup struct {
	Path  string
	Files []string // FILE=VALUE, written in the hierarchies that have FILE
	Plain bool     // without controllers in v2, so that its parent may hold processes
}

// Plan is what one boot does.
type Plan struct {
	Hybrid bool // v1 controllers beside an empty v2 tree, as systemd lays it out; else v2 alone
	Cases  []Case
}

// Result is what became of a case.
type Result struct {
	Name    string
	Failure string // why the program could not be started, if so
	Exit    int
	Stdout  string
	Stderr  string
}

// PlanFile is where init finds the plan, as JSON.
const PlanFile = "/plan.json"

// Boot starts a machine with 2 GiB and two CPUs, runs the plan and returns the results in its order. init is
// the path of the built init program; files are further programs and what they need: path inside → outside.
func Boot(ctx context.Context, kernel, init string, files map[string]string, plan Plan) ([]Result, error) {
	work, err := os.MkdirTemp("", "flink-entrypoint-vm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	text, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	in := archive{PlanFile[1:]: {0o644, text}}
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "host/cgroup"} {
		in.dir(dir)
	}
	if err := in.file("init", init); err != nil {
		return nil, err
	}
	for inside, outside := range files {
		if err := in.file(strings.TrimPrefix(inside, "/"), outside); err != nil {
			return nil, err
		}
	}
	initrd, results, log := filepath.Join(work, "initrd"), filepath.Join(work, "results"), filepath.Join(work, "log")
	if err := os.WriteFile(initrd, in.bytes(), 0o600); err != nil {
		return nil, err
	}
	command := "console=ttyS1 quiet loglevel=3 panic=-1 reboot=t tsc=reliable no_timer_check random.trust_cpu=on mitigations=off"
	if !plan.Hybrid {
		command += " cgroup_no_v1=all"
	}
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", kernel, "-initrd", initrd, "-append", command,
		"-serial", "file:"+results, "-serial", "file:"+log)
	said, err := qemu.CombinedOutput()
	found, bad := readResults(results)
	if err == nil {
		err = bad
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil && len(found) != len(plan.Cases) {
		err = fmt.Errorf("%d results of %d cases", len(found), len(plan.Cases))
	}
	if err != nil {
		kernelSaid, _ := os.ReadFile(log)
		return found, fmt.Errorf("VM: %w\nqemu: %s\nkernel: %s", err, said, kernelSaid)
	}
	return found, nil
}

func readResults(name string) (found []Result, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var r Result
		switch err := d.Decode(&r); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return found, fmt.Errorf("cannot read the results: %w", err)
		}
		found = append(found, r)
	}
}

// archive is an initramfs: path → entry.
type archive map[string]entry

type entry struct {
	mode uint32
	text []byte
}

func (a archive) dir(name string) {
	for ; name != "." && name != "/"; name = path.Dir(name) {
		a[name] = entry{mode: 0o40755}
	}
}

func (a archive) file(name, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.dir(path.Dir(name))
	a[name] = entry{mode: 0o755, text: text}
	return nil
}

// bytes writes the archive as the kernel wants it: cpio, "newc" (Documentation/driver-api/early-userspace).
func (a archive) bytes() []byte {
	var names []string
	for name := range a {
		names = append(names, name)
	}
	slices.Sort(names) // directories before what is in them
	var out bytes.Buffer
	pad := func() {
		for out.Len()%4 != 0 {
			out.WriteByte(0)
		}
	}
	for i, name := range append(names, "TRAILER!!!") {
		e := a[name]
		if e.mode&0o170000 == 0 {
			e.mode |= 0o100000
		}
		// inode, mode, uid, gid, links, mtime, size, device, special device, length of the name, checksum
		fmt.Fprintf(&out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			i+1, e.mode, 0, 0, 1, 0, len(e.text), 0, 0, 0, 0, len(name)+1, 0)
		out.WriteString(name + "\x00")
		pad()
		out.Write(e.text)
		pad()
	}
	return out.Bytes()
}
