package cgroup

import (
	"math"
	"strconv"
	"strings"
)

// largestPage is the largest page size in use.
const largestPage = 64 << 10

// unlimited is the smallest number that v1 prints for "no limit": MaxInt64 rounded down to the page size,
// here the largest one (with 4 KiB pages it is 0x7FFFFFFFFFFFF000).
const unlimited = math.MaxInt64 &^ (largestPage - 1)

// parseBytes understands an amount of memory; none is the word for no limit, which is any number from
// unlimited on.
func parseBytes(text, none string) (int64, bool) {
	if text == none {
		return unlimited, true
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return int64(min(n, unlimited)), err == nil
}

// parseHierarchical finds v1's limit of a cgroup and its ancestors together in memory.stat; without such a
// line it is -1.
func parseHierarchical(text string) (int64, bool) {
	for line := range strings.SplitSeq(text, "\n") {
		if n, ok := strings.CutPrefix(line, "hierarchical_memory_limit "); ok {
			return parseBytes(n, "")
		}
	}
	return -1, true
}

// defaultPeriod is the CPU period in microseconds if none is set.
const defaultPeriod = 100_000

// parseQuota understands "QUOTA PERIOD" in microseconds (cpu.max) and returns cores; 0: no quota.
func parseQuota(text string) (cores float64, ok bool) {
	quota, period, two := strings.Cut(text, " ")
	p := int64(defaultPeriod)
	if two {
		if p, ok = parsePeriod(period); !ok {
			return 0, false
		}
	}
	if quota == "max" {
		return 0, true
	}
	q, ok := parsePeriod(quota)
	return float64(q) / float64(p), ok
}

// parsePeriod understands a time in microseconds.
func parsePeriod(text string) (int64, bool) {
	n, ok := parseMicros(text)
	return n, ok && n > 0
}

// parseMicros understands a time in microseconds, where v1 prints -1 for none.
func parseMicros(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// cpuList is a kernel list of CPUs, counted.
type cpuList struct {
	count    int
	fromZero bool // it is 0 to count-1, without a gap
}

// parseCPUs understands a list of CPUs as the kernel prints it: ascending numbers and ranges, or nothing.
func parseCPUs(text string) (set cpuList, ok bool) {
	next := uint64(0)
	for part := range strings.SplitSeq(text, ",") {
		if text == "" {
			break
		}
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseUint(from, 10, 31)
		b := a
		if err == nil && isRange {
			b, err = strconv.ParseUint(to, 10, 31)
		}
		if err != nil || a < next || b < a {
			return cpuList{}, false
		}
		set.count += int(b - a + 1)
		next = b + 1
	}
	set.fromZero = uint64(set.count) == next
	return set, true
}

// member is a line of /proc/self/cgroup: where this process is in one hierarchy.
type member struct {
	controllers string // "cpu,cpuacct"; "" is v2
	path        string // from the root of the cgroup namespace; "/.." leads above it
}

// parseMember understands "ID:CONTROLLERS:/PATH"; the path is not escaped and may hold colons.
func parseMember(line string) (member, bool) {
	f := strings.SplitN(line, ":", 3)
	if len(f) < 3 || !strings.HasPrefix(f[2], "/") {
		return member{}, false
	}
	return member{controllers: f[1], path: f[2]}, true
}

// mount is a line of /proc/self/mountinfo.
type mount struct {
	root    string // the part of the file system that is mounted at point; of a cgroup mount a path as member.path
	point   string
	kind    string // "cgroup", "cgroup2" or something else
	options string // of the file system: "rw,cpu,cpuacct"
}

// parseMount understands "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG…] - TYPE SOURCE OPTIONS". There may
// be any number of tags, and the source may be empty.
func parseMount(line string) (mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	f := strings.SplitN(before, " ", 7)
	kind, _, more := strings.Cut(after, " ")
	if !ok || len(f) < 6 || !more {
		return mount{}, false
	}
	return mount{root: unescape(f[3]), point: unescape(f[4]), kind: kind, options: after[strings.LastIndexByte(after, ' ')+1:]}, true
}

// unescape replaces the octal escapes of mountinfo: a space is \040, a backslash \134.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
