package memory

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/flinkconf"
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
		d.fail(flinkconf.NumberFormat, "Character "+flinkconf.FormatDouble(cores)[:1]+" is neither a decimal digit number, decimal point, nor "+
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
	names, err := d.list(text)
	if err != nil {
		e, _ := d.conf.Lookup(externalResources())
		d.adopt(flinkconf.Unparsable(externalResources().Key, e, d.in.Version, err))
		return nil
	}
	set1 := withCapacity(max(int(float32(len(names))/.75)+1, 16))
	for _, n := range names {
		set1.put(n, "")
	}
	var amounts, byName hashMap
	for e := range set1.all() {
		amount, set, err := d.conf.Long(flinkconf.Option{Key: amountKey(e.key)}, d.in.Version)
		d.adopt(err)
		switch {
		case !d.ok():
			return nil
		case !set:
			d.logf("WARN", "The amount of the %s should be configured. Will ignore that resource.", e.key)
		case amount <= 0:
			d.logf("WARN", "The amount of the %d should be positive while finding %s. Will ignore that resource.", amount, e.key)
		default:
			amounts.put(e.key, strconv.FormatInt(throughDouble(amount), 10))
		}
	}
	for e := range amounts.all() {
		byName.put(e.key, e.value)
	}
	var out []Resource
	for e := range byName.all() {
		n, _ := strconv.ParseInt(e.value, 10, 64)
		out = append(out, Resource{e.key, n})
	}
	return out
}

// throughDouble is what an amount becomes on its way through a double and a BigDecimal: beyond 2^53 it changes.
func throughDouble(amount int64) int64 {
	r := decimal(float64(amount))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	return int64(new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64)).Uint64())
}

// list is ConfigurationUtils.convertToList for strings: a YAML list where the standard parser is used, else separated by semicolons.
func (d *derivation) list(text string) ([]string, error) {
	if d.in.Standard {
		if items, ok := yamlList(text); ok {
			return items, nil
		}
	}
	return splitEscaped(text, ';')
}

// splitEscaped is StructuredOptionsSplitter.splitEscaped: items may be quoted, a quote inside is doubled.
func splitEscaped(text string, delimiter byte) ([]string, error) {
	const (
		quoted = iota
		plain
		separator
	)
	type token struct {
		kind, at int
		text     string
	}
	var tokens []token
	position := func(i int) int { return len([]rune(text[:i])) }
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '"':
			var b strings.Builder
			end := i + 1
			for ; ; end++ {
				if end == len(text) {
					return nil, &flinkconf.Error{Class: flinkconf.IllegalArgument, Message: "Could not split string. Quoting was not closed properly."}
				}
				if text[end] == c {
					if end+1 == len(text) || text[end+1] != c {
						break
					}
					end++
				}
				b.WriteByte(text[end])
			}
			tokens = append(tokens, token{quoted, i, b.String()})
			i = end + 1
		case c == delimiter:
			tokens = append(tokens, token{separator, i, ""})
			i++
		case isJavaWhitespace(text[i:]) > 0:
			i += isJavaWhitespace(text[i:])
		default:
			end := i
			for end < len(text) && text[end] != delimiter {
				end++
			}
			tokens = append(tokens, token{plain, i, strings.TrimFunc(text[i:end], func(r rune) bool { return r <= ' ' })})
			i = end
		}
	}
	var out []string
	for i, t := range tokens {
		last := i+1 == len(tokens)
		switch {
		case t.kind == quoted && !last && tokens[i+1].kind != separator:
			return nil, &flinkconf.Error{Class: flinkconf.IllegalArgument,
				Message: "Could not split string. Illegal quoting at position: " + strconv.Itoa(position(tokens[i+1].at)-1)}
		case t.kind != separator:
			out = append(out, t.text)
		case !last && tokens[i+1].kind == separator:
			out = append(out, "")
		}
	}
	return out, nil
}

// isJavaWhitespace returns the length of the leading character if Character.isWhitespace accepts it, else 0.
func isJavaWhitespace(s string) int {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r >= '\t' && r <= '\r', r >= 0x1c && r <= ' ', r == 0x1680, r >= 0x2000 && r <= 0x200a && r != 0x2007,
		r == 0x2028, r == 0x2029, r == 0x205f, r == 0x3000:
		return size
	}
	return 0
}
