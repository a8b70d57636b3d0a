package memory

import (
	"math"
	"math/big"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/javatext"
)

// taskManagerResources reads what a TaskManager offers besides memory: CPU cores, slots, external resources.
func (d *derivation) taskManagerResources(s *Spec) {
	if !d.ok() {
		return
	}
	s.CPU = d.cpu()
	slots, set, err := d.conf.Int(taskSlots(), d.in.Version)
	d.adopt(err)
	s.Slots = slots
	if !set {
		s.Slots = 1
	}
	s.ExternalResources = d.resources()
}

func (d *derivation) cpu() float64 {
	cores, set, err := d.conf.Double(cpuCores(), d.in.Version)
	if !set {
		var slots int32
		slots, set, err = d.conf.Int(taskSlots(), d.in.Version)
		if cores = float64(slots); !set {
			cores = 1
		}
	}
	d.adopt(err)
	switch {
	case !d.ok():
		return 0
	case cores <= 0:
		d.fail(flinkconf.IllegalConfiguration, "TaskExecutors need to be started with a positive number of CPU cores. "+
			"Please configure "+cpuCores().Key+" accordingly.", nil)
	case math.IsNaN(cores) || math.IsInf(cores, 0):
		d.fail(javatext.NumberFormat, "Character "+javatext.Double(cores, 0)[:1]+" is neither a decimal digit number, decimal point, nor "+
			`"e" notation exponential mark.`, nil)
	case d.roundsCPU:
		cut := new(big.Rat).Mul(decimal(cores), big.NewRat(1e8, 1))
		whole := new(big.Int).Quo(cut.Num(), cut.Denom())
		cores, _ = new(big.Rat).SetFrac(whole, big.NewInt(1e8)).Float64()
	}
	return cores
}

// resources is ExternalResourceUtils.getExternalResourceAmountMap, in the order of the HashMap that it ends up in.
func (d *derivation) resources() []Resource {
	if !d.ok() {
		return nil
	}
	text, set := d.conf.RawText(externalResources())
	if !set || text == "none" {
		return nil
	}
	names, err := flinkconf.ParseList(text, d.in.Standard)
	if err != nil {
		e, _ := d.conf.Lookup(externalResources())
		d.adopt(flinkconf.Unparsable(externalResources().Key, e, d.in.Version, err))
		return nil
	}
	var amounts, byName javatext.HashMap[int64]
	capacity := max(int(float32(len(names))/.75)+1, javatext.DefaultCapacity) // new HashSet(Collection)
	for _, name := range javatext.HashMapOrder(names, capacity) {
		amount, set, err := d.conf.Long(flinkconf.Option{Key: amountKey(name)}, d.in.Version)
		d.adopt(err)
		switch {
		case !d.ok():
			return nil
		case !set:
			d.logf("WARN", "The amount of the %s should be configured. Will ignore that resource.", name)
		case amount <= 0:
			d.logf("WARN", "The amount of the %d should be positive while finding %s. Will ignore that resource.", amount, name)
		default:
			amounts.Put(name, throughDouble(amount))
		}
	}
	for name, amount := range amounts.All() {
		byName.Put(name, amount)
	}
	var out []Resource
	for name, amount := range byName.All() {
		out = append(out, Resource{name, amount})
	}
	return out
}

// throughDouble is what an amount becomes on its way through a double and a BigDecimal: beyond 2^53 it changes.
func throughDouble(amount int64) int64 {
	r := decimal(float64(amount))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	return int64(new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64)).Uint64())
}
