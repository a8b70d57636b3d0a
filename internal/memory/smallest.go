package memory

import (
	"math"

	"flink-entrypoint/internal/flinkconf"
)

// Smallest returns the smallest process size, in whole MiB, with which [Derive] works given everything else that is configured, and the
// key of the component that is best lowered to come down to the process size that is configured now ("" without such a component).
// The error is Flink's exception if no process size works.
func Smallest(p Process, in Input) (size int64, lower string, err error) {
	t := newTrial(p, in)
	if size, err = t.smallest(); err != nil {
		return 0, "", err
	}
	if configured, set, err := in.Conf.MemorySize(t.opt.processSize.Option, in.Version); set && err == nil {
		lower = t.toLower(configured)
	}
	return size, lower, nil
}

// trial runs the model with varied settings.
type trial struct {
	process Process
	in      Input // Conf is a copy
	rules   rules
	opt     options
}

func newTrial(p Process, in Input) trial {
	in.Conf = in.Conf.Clone()
	r := rulesOf(in.Version)
	return trial{p, in, r, optionsOf(p, r)}
}

func (t trial) set(key string, size int64) {
	t.in.Conf.SetString(key, flinkconf.ShortMemorySize(size), flinkconf.Source{})
}

// at runs the model with that process size.
func (t trial) at(size int64) *derivation {
	t.set(t.process.ProcessSizeKey(), size)
	return t.run()
}

func (t trial) run() *derivation {
	d := &derivation{rules: t.rules, process: t.process, in: t.in, conf: t.in.Conf, opt: t.opt, quiet: true}
	d.run()
	return d
}

// reason returns Flink's exception for that process size, with its words.
func (t trial) reason(size int64) error {
	t.at(size)
	_, err := Derive(t.process, t.in)
	return err
}

// largestTried is the process size up to which a smallest one is looked for: 8 PiB.
const largestTried = 1 << 53

// smallest finds the smallest process size that works.
//
// The model is not monotone in the process size. An overhead or a network memory that is what the others leave must also not be too
// large, so that only a window of sizes works; and where managed and network memory together take more than they leave, growing makes
// it worse until the network memory reaches its maximum. Below 16 GiB every whole MiB is tried up to the first that works.
// Above, sizes that are too small give way to a bisection between the last too small one and the first other one.
func (t trial) smallest() (int64, error) {
	const dense = 16 << 30
	first := t.at(mib)
	if first.ok() {
		return mib, nil
	}
	if first.verdict == other {
		return 0, t.reason(mib)
	}
	// Where size n works or a larger one would be too large, the smallest that works is in (small, n].
	small := int64(mib)
	for size := int64(2 * mib); size <= largestTried; {
		d := t.at(size)
		if d.ok() || d.verdict == tooLarge {
			return t.between(small, size)
		}
		if d.verdict == other {
			return 0, t.reason(size)
		}
		small = size
		if size < dense {
			size += mib
		} else {
			size += size / 64 / mib * mib
		}
	}
	return 0, t.reason(mib)
}

// between finds the first size in (small, large] that is not too small, and returns it if it works.
func (t trial) between(small, large int64) (int64, error) {
	for large-small > mib {
		middle := (small/mib + (large-small)/mib/2) * mib
		if d := t.at(middle); !d.ok() && d.verdict == tooSmall {
			small = middle
		} else {
			large = middle
		}
	}
	if d := t.at(large); !d.ok() {
		return 0, t.reason(large) // the window is narrower than a MiB
	}
	return large, nil
}

// candidate is a component that could be made smaller.
type candidate struct {
	key    string // to name
	by     string // the option that fixes its size
	size   int64
	chosen bool // the user configured it
}

// toLower returns the key of the component to lower so that the process fits into size: the one that fits with the smallest cut,
// what people have configured before Flink's defaults; if no single one is enough, the largest.
func (t trial) toLower(size int64) string {
	switch d := t.at(size); {
	case d.ok() || d.verdict == other:
		return ""
	case d.verdict == tooLarge: // the others are fixed, and the rest is more than it may be
		return t.process.ProcessSizeKey()
	}
	var best, largest candidate
	bestCut := math.Inf(1)
	for _, c := range t.candidates() {
		if c.size > 0 && (largest.key == "" || (c.chosen && !largest.chosen) || (c.chosen == largest.chosen && c.size > largest.size)) {
			largest = c
		}
		cut, fits := t.cut(c)
		if !fits {
			continue
		}
		if best.key == "" || (c.chosen && !best.chosen) || (c.chosen == best.chosen && cut < bestCut) {
			best, bestCut = c, cut
		}
	}
	if best.key != "" {
		return best.key
	}
	return largest.key
}

func (t trial) candidates() []candidate {
	o := t.opt
	list := []sizeOption{o.metaspace, o.overhead.min}
	if t.process == JobManager {
		list = append(list, o.offHeap, o.heap, o.flinkSize)
	} else {
		list = append(list, o.managed, o.taskHeap, o.taskOffHeap, o.network.min, o.frameworkHeap, o.frameworkOffHeap, o.flinkSize)
	}
	var out []candidate
	for _, s := range list {
		size, set, err := t.in.Conf.MemorySize(s.Option, t.in.Version)
		if !set {
			size = s.def
		}
		if err == nil && size > 0 {
			out = append(out, candidate{s.Key, s.Key, size, set})
		}
	}
	_, managed := t.in.Conf.Lookup(o.managed.Option)
	if d := newDerivation(t.process, t.in); t.process == TaskManager && !managed && !t.in.Conf.Has(o.flinkSize.Key) {
		// Managed memory is a fraction of what the JVM leaves.
		var s Spec
		d.jvmFromProcess(&s, d.size(o.processSize))
		_, chosen := t.in.Conf.Lookup(o.managedFraction.Option)
		out = append(out, candidate{o.managedFraction.Key, o.managed.Key, s.Managed, chosen})
	}
	return out
}

// cut returns which part of a component has to go (0 to 1) so that the process works, if lowering this one alone can do it.
func (t trial) cut(c candidate) (part float64, fits bool) {
	in := t.in
	in.Conf = in.Conf.Clone()
	lowered := trial{t.process, in, t.rules, t.opt}
	works := func(size int64) bool {
		lowered.set(c.by, size)
		return lowered.run().ok()
	}
	low, high := int64(0), c.size // works at low, does not at high
	if !works(low) {
		return 0, false
	}
	for high-low > mib {
		if middle := low + (high-low)/2; works(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return float64(c.size-low) / float64(c.size), true
}
