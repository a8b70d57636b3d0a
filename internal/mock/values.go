package mock

import (
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"unicode"

	"flink-entrypoint/internal/flinkversion"
)

// generator makes the options of a datagen source.
type generator struct {
	*writer
	object  *object
	options [][2]string
	there   map[string]bool // keys of options
}

// datagen returns the options of a source for the object: always number-of-rows and rows-per-second, and a range
// for each physical column whose type has one.
func (w *writer) datagen(o *object) [][2]string {
	g := generator{writer: w, object: o, there: map[string]bool{}}
	g.put([2]string{"connector", "datagen"})
	g.put([2]string{"number-of-rows", strconv.FormatInt(w.options.Rows, 10)})
	g.put([2]string{"rows-per-second", strconv.FormatInt(w.rate(o), 10)})
	var own settings
	if o.def != nil && o.def.connector == "datagen" {
		own = w.definitionOf(o).settings
	}
	if o.altered {
		for _, setting := range own {
			if strings.HasPrefix(setting[0], fieldPrefix) {
				g.put(setting)
			}
		}
		return g.options
	}
	key := o.settledKey()
	columns := w.physical(o)
	ofColumn := byColumn(own, columns)
	for _, c := range columns {
		for _, setting := range ofColumn[c.name] {
			g.put(setting)
		}
		if len(ofColumn[c.name]) == 0 {
			g.column([]byte(c.name), c.name, c.typ, len(key) == 1 && key[0] == c.name, true)
		}
	}
	return g.options
}

// fieldPrefix starts datagen's options of columns.
const fieldPrefix = "fields."

// byColumn returns what the user's datagen source says about each column.
func byColumn(options settings, columns []column) map[string]settings {
	if len(options) == 0 {
		return nil
	}
	ofColumn := make(map[string]settings, len(columns))
	lengths := map[int]bool{}
	for _, c := range columns {
		ofColumn[c.name] = nil
		lengths[len(c.name)] = true
	}
	for _, setting := range options {
		key, ok := strings.CutPrefix(setting[0], fieldPrefix)
		for i := 0; ok && i < len(key); i++ { // a column's name may have dots too
			if key[i] != '.' || !lengths[i] {
				continue
			}
			if list, ok := ofColumn[key[:i]]; ok {
				ofColumn[key[:i]] = append(list, setting)
			}
		}
	}
	return ofColumn
}

// rate returns the rows per second. A table of versions comes at once: what joins it waits for its end.
func (w *writer) rate(o *object) int64 {
	if o.choices().versions != "" || o.def != nil && o.def.versioned {
		return max(w.options.RowsPerSecond, defaultRate)
	}
	return w.options.RowsPerSecond
}

// physical returns the columns that hold generated values, those after LIKE first.
func (w *writer) physical(o *object) []column {
	var columns []column
	if o.def == nil {
		return nil
	}
	if o.rare != nil && o.rare.cached.inherited != nil {
		return o.rare.cached.inherited
	}
	d := w.definitionOf(o)
	if o.like() != nil && !o.like().altered {
		own := make(map[string]bool, len(d.columns))
		for _, c := range d.columns {
			own[c.name] = true
		}
		plain := o.def.without.metadata
		for _, c := range w.physical(o.like()) {
			if !(c.isMetadata() && plain) && !own[c.name] {
				columns = append(columns, c)
			}
		}
	}
	for _, c := range d.columns {
		if !c.computed() && c.typ != nil && !c.null {
			columns = append(columns, c)
		}
	}
	if o.like() != nil {
		o.cache().inherited = columns // others may be LIKE it in turn
	}
	return columns
}

func (o *object) primaryKey() []string {
	switch lookup := o.choices().lookupKey; {
	case o.def == nil:
		return nil
	case len(o.def.key()) > 0:
		return o.def.key()
	case len(lookup) > 0 || o.like() == nil:
		return lookup
	}
	return o.like().primaryKey()
}

// settledKey is primaryKey when the keys of lookups are known.
func (o *object) settledKey() []string {
	if o.def == nil || len(o.def.key()) > 0 || len(o.choices().lookupKey) > 0 || o.like() == nil {
		return o.primaryKey()
	}
	return o.cache().finalKey.get(o.like().settledKey)
}

func (o *object) rowtime() []string {
	switch {
	case o.def == nil:
		return nil
	case len(o.def.watermark()) > 0 || o.like() == nil:
		return o.def.watermark()
	}
	return o.like().rowtime()
}

func (g *generator) add(path []byte, option, value string) {
	g.put([2]string{fieldPrefix + string(path) + "." + option, value})
}

// put adds an option, the first time: columns such as a.b and a with a field b have the same.
func (g *generator) put(setting [2]string) {
	if !g.there[setting[0]] {
		g.there[setting[0]] = true
		g.options = append(g.options, setting)
	}
}

func (g *generator) between(path []byte, low, high int64) {
	g.add(path, "min", strconv.FormatInt(low, 10))
	g.add(path, "max", strconv.FormatInt(high, 10))
}

func (g *generator) sequence(path []byte, start int64) {
	g.add(path, "kind", "sequence")
	g.add(path, "start", strconv.FormatInt(start, 10))
	g.add(path, "end", strconv.FormatInt(start+g.writer.options.Rows-1, 10))
}

// column adds the options of a column or of what is nested in it. name is the last part of path; datagen counts
// up at the top only.
func (g *generator) column(path []byte, name string, typ *dataType, key, top bool) {
	if typ == nil {
		return
	}
	low, high, kind := g.value(name, typ)
	rows := g.writer.options.Rows
	count := func(start int64) bool { return top && start+rows-1 <= typ.largest() }
	seeded := g.writer.options.Seed != 0
	switch typ.kind {
	case "TINYINT", "SMALLINT", "INT", "BIGINT":
		switch {
		case key && count(1), seeded && kind == identity && count(1):
			g.sequence(path, 1)
		case (seeded || kind == seconds) && kind != identity && count(low):
			if kind != seconds && kind != instant {
				low = g.place(name, low, max(low, min(high, typ.largest()-rows+1)))
			}
			g.sequence(path, low)
		default:
			g.between(path, low, high)
		}
	case "FLOAT", "DOUBLE":
		if seeded && count(low) {
			g.sequence(path, g.place(name, low, high))
		} else {
			g.between(path, low, high)
		}
	case "DECIMAL": // counting up in DECIMAL fails in Flink: ClassCastException
		if !g.writer.options.version(decimalRange) {
			return
		}
		digits := typ.length - typ.scale
		if digits <= 0 {
			g.add(path, "min", "0")
			g.add(path, "max", "0.9")
			return
		}
		if limit := int64(math.Pow10(min(digits, 15))) - 1; high > limit {
			low, high = min(low, limit-1), limit
		}
		g.between(path, low, high)
	case "CHAR", "VARCHAR":
		switch {
		case (key || seeded || g.columns.casts[name] == "number") && count(1):
			g.sequence(path, 1)
		case g.columns.casts[name] == "date" && count(2001) && rows < 7000:
			g.sequence(path, 2001) // a year is a date
		case typ.kind == "VARCHAR":
			n := 8
			if kind == identity || kind == category || g.columns.keys[name] {
				n = 1 // 16 values
			}
			g.add(path, "length", strconv.Itoa(min(n, typ.length)))
		default:
			g.fixed(path, typ)
		}
	case "BINARY":
		g.fixed(path, typ)
	case "VARBINARY":
		g.add(path, "length", strconv.Itoa(min(8, typ.length)))
	case "TIMESTAMP", "TIMESTAMP_LTZ":
		if g.object.versioned && g.writer.options.version(maxPast) {
			g.add(path, "max-past", "1 h") // older than the rows that join it
		}
	case "ROW":
		for _, f := range typ.fields {
			g.column(append(append(path, '.'), f.name...), f.name, f.typ, false, false)
		}
	case "ARRAY", "MULTISET":
		g.column(append(path, ".element"...), name, typ.element, false, false)
	case "MAP":
		g.column(append(path, ".key"...), name, typ.key, false, false)
		g.column(append(path, ".value"...), name, typ.value, false, false)
	}
}

const (
	maxPast      = iota // the option max-past
	fixedLength         // CHAR(n) and BINARY(n) have n characters, and refuse the option length
	binary              // BINARY and VARBINARY
	decimalRange        // min and max of DECIMAL
	models              // ML_PREDICT, ML_EVALUATE
	vectorSearch        // VECTOR_SEARCH
)

// version reports whether datagen has a behaviour, or Flink a function.
func (o *Options) version(behaviour int) bool {
	since := flinkversion.Since
	return o.Flink.Reaches([...]flinkversion.Release{
		decimalRange: since(1, 14),
		maxPast:      since(1, 15),
		binary:       since(1, 16),
		fixedLength:  since(1, 19),
		models:       since(2, 1),
		vectorSearch: since(2, 2),
	}[behaviour])
}

// fixed gives CHAR and BINARY their length where datagen does not know it.
func (g *generator) fixed(path []byte, typ *dataType) {
	if !g.writer.options.version(fixedLength) {
		g.add(path, "length", strconv.Itoa(typ.length))
	}
}

// largest returns the greatest number that a sequence may reach.
func (d *dataType) largest() int64 {
	switch d.kind {
	case "TINYINT":
		return math.MaxInt8
	case "SMALLINT":
		return math.MaxInt16
	case "INT":
		return math.MaxInt32
	case "FLOAT":
		return 1 << 24
	case "CHAR", "VARCHAR":
		if d.length < 18 {
			return int64(math.Pow10(d.length)) - 1
		}
	}
	return math.MaxInt64
}

// place returns the start of a sequence, which the seed and the name decide.
func (g *generator) place(name string, low, high int64) int64 {
	if high <= low {
		return low
	}
	h := fnv.New64a()
	h.Write(strconv.AppendInt([]byte(name), g.writer.options.Seed, 10))
	return low + int64(h.Sum64()%uint64(high-low))
}

// meaning is what a column's name tells.
type meaning uint8

const (
	anything meaning = iota
	identity         // few values, which several tables have in common
	category
	instant // an epoch
	seconds // an epoch in seconds
)

// plausible returns a range for numbers whose column has the word in its name.
func plausible(word string) (low, high int64, ok bool) {
	switch word {
	case "age":
		return 18, 80, true
	case "price", "amount", "amt", "cost", "total", "money", "revenue", "size", "duration", "latency", "elapsed":
		return 1, 1000, true
	case "fee", "rate":
		return 1, 100, true
	case "salary":
		return 1000, 10000, true
	case "balance":
		return 1, 10000, true
	case "quantity", "qty", "count", "cnt", "num", "number":
		return 1, 10, true
	case "status", "state", "type", "level", "kind", "category":
		return 0, 4, true
	case "flag", "gender", "sex", "ratio", "discount":
		return 0, 1, true
	case "partition":
		return 0, 3, true
	case "offset":
		return 0, 100000, true
	case "lat", "latitude":
		return -90, 90, true
	case "lon", "lng", "longitude":
		return -180, 180, true
	case "percent", "pct", "score":
		return 0, 100, true
	case "temperature", "temp":
		return -10, 40, true
	case "year":
		return 2000, 2030, true
	case "month":
		return 1, 12, true
	case "day":
		return 1, 28, true
	case "hour":
		return 0, 23, true
	case "minute", "second":
		return 0, 59, true
	case "port":
		return 1024, 32767, true
	case "tax":
		return 0, 10, true
	case "rating":
		return 1, 5, true
	case "version":
		return 1, 9, true
	}
	return 0, 0, false
}

// value returns the range of a number, and what the column means.
func (g *generator) value(name string, typ *dataType) (low, high int64, m meaning) {
	words := nameWords(name)
	last := ""
	if len(words) > 0 {
		last = words[len(words)-1]
	}
	perSecond, used := g.columns.epochs[name]
	if !used && (typ.kind == "BIGINT" || typ.kind == "INT") {
		switch last {
		case "ts", "time", "timestamp", "at", "epoch", "millis":
			used, perSecond = true, 1000
		}
	}
	switch {
	case used && typ.kind == "BIGINT", used && typ.kind == "INT" && g.columns.epochs[name] <= 1:
		if typ.kind == "INT" {
			perSecond = 1
		}
		return g.instants(perSecond)
	case last == "id", last == "uid", last == "uuid", last == "key", last == "pk", last == "no", last == "code", last == "user", last == "sku":
		return 1, g.identities(), identity
	}
	for i := len(words) - 1; i >= 0; i-- {
		if low, high, ok := plausible(words[i]); ok {
			if typ.kind == "TINYINT" && high > math.MaxInt8 || typ.kind == "SMALLINT" && high > math.MaxInt16 {
				return 1, 100, anything
			}
			if high <= 4 {
				m = category
			}
			return low, high, m
		}
	}
	if g.columns.keys[name] {
		return 1, g.identities(), identity
	}
	if words != nil && (words[0] == "is" || words[0] == "has") {
		return 0, 1, category
	}
	return 1, 100, anything
}

// instants returns the minute after Now; the hour before it for the versions that other rows join; in a trickle
// of rows, with watermarks between them, few seconds, so that rows are not late.
func (g *generator) instants(perSecond int64) (low, high int64, m meaning) {
	now := g.writer.options.Now.UnixMilli()
	from, to := now, now+59_999
	switch {
	case g.object.versioned:
		from, to = now-3_600_000, now-1
	case g.writer.options.Rows > g.writer.options.RowsPerSecond:
		to = now + 4_999
	}
	switch perSecond {
	case 1:
		return from / 1000, to / 1000, seconds
	case 1000:
		return from, to, instant
	}
	return from * (perSecond / 1000), to * (perSecond / 1000), instant
}

// identities is how many different ids there are: few for few rows, so that keys repeat and joins match.
func (g *generator) identities() int64 {
	return max(2, min(g.writer.options.Rows, 10), min(g.writer.options.Rows/10, 100))
}

// nameWords splits user_id, userId, userID and USER_ID into words in lower case.
func nameWords(name string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	lower := false
	for _, c := range name {
		switch {
		case !unicode.IsLetter(c):
			flush()
		case unicode.IsUpper(c) && lower:
			flush()
			word = append(word, c)
		default:
			word = append(word, c)
		}
		lower = unicode.IsLower(c)
	}
	flush()
	return words
}
