package memory

import "flink-entrypoint/internal/flinkconf"

// explicitJobManager is JobManagerFlinkMemoryUtils.deriveFromRequiredFineGrainedOptions: the heap is set.
func (d *derivation) explicitJobManager(s *Spec) {
	s.Heap = d.size(d.opt.heap)
	s.OffHeap = d.size(d.opt.offHeap)
	if !d.ok() {
		return
	}
	if d.has(d.opt.flinkSize.Option) {
		total := d.size(d.opt.flinkSize)
		if !d.ok() {
			return
		}
		if d.has(d.opt.offHeap.Option) {
			if sum := d.add(s.Heap, s.OffHeap); sum != total {
				d.invalid(other, "Sum of the configured JVM Heap Memory (%s) and the configured Off-heap Memory (%s) does not match the "+
					"configured Total Flink Memory (%s). Please, make the configuration consistent or configure only one option: either "+
					"JVM Heap or Total Flink Memory.", s.Heap, s.OffHeap, total)
			}
		} else {
			d.offHeapIsRest(s, total)
		}
	}
	d.warnSmallHeap(s.Heap)
}

func (d *derivation) offHeapIsRest(s *Spec, total int64) {
	if total < s.Heap {
		d.invalid(other, "The configured JVM Heap Memory (%s) exceeds the configured Total Flink Memory (%s). Please, make the configuration "+
			"consistent or configure only one option: either JVM Heap or Total Flink Memory.", s.Heap, total)
		return
	}
	def := s.OffHeap
	s.OffHeap = total - s.Heap
	if s.OffHeap != def {
		d.logf("INFO", "%s", humanf("The Off-Heap Memory size (%s) is derived the configured Total Flink Memory size (%s) minus the configured "+
			"JVM Heap Memory size (%s). The default Off-Heap Memory size (%s) is ignored.", s.OffHeap, total, s.Heap, def))
	}
}

// jobManagerFromTotal is JobManagerFlinkMemoryUtils.deriveFromTotalFlinkMemory.
func (d *derivation) jobManagerFromTotal(s *Spec, total int64) {
	s.OffHeap = d.size(d.opt.offHeap)
	if !d.ok() {
		return
	}
	if total <= s.OffHeap {
		d.invalid(tooSmall, "The configured Total Flink Memory (%s) is less than the configured Off-heap Memory (%s).", total, s.OffHeap)
		return
	}
	s.Heap = total - s.OffHeap
	d.warnSmallHeap(s.Heap)
}

func (d *derivation) warnSmallHeap(heap int64) {
	if heap < 128*mib {
		d.logf("WARN", "The configured or derived JVM heap memory size (%s) is less than its recommended minimum value (%s)",
			flinkconf.HumanReadable(heap), flinkconf.HumanReadable(128*mib))
	}
}
