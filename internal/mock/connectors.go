package mock

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// changes are the kinds of change that a source makes or that a sink takes, as the connector of the SQL runner's jar reads
// them (docker/sql-runner, MockConnector). Empty: not known.
type changes string

const (
	inserts     changes = "+I"
	upserts     changes = "+I +U -D"
	updates     changes = "+U -D" // of a source that does not tell an insert from an update
	every       changes = "+I -U +U -D"
	asked       changes = "requested"
	askedUpsert changes = "requested -U"
)

// connector is what the planner asks the sources and sinks of a connector.
type connector struct {
	sink, source func(o *object) changes
	// refusal is why the connector's factory refuses the table, refusesUpdates why its sink refuses updates and deletes.
	refusal, refusesUpdates func(o *object) string
	scansOnly               bool // a lookup join cannot use it
	watermarks              bool // its source makes the watermarks itself
}

// connectors are the connectors whose changes are known: from getChangelogMode of their classes, and from what the factories check. One
// that is not here takes and makes whatever the script needs.
func connectors() map[string]connector {
	same := func(c changes) func(*object) changes { return func(*object) changes { return c } }
	keyed := func(with, without changes) func(*object) changes {
		return func(o *object) changes {
			if len(o.declaredKey()) > 0 {
				return with
			}
			return without
		}
	}
	noKey := func(text string) func(*object) string {
		return func(o *object) string {
			if len(o.declaredKey()) > 0 {
				return ""
			}
			return text
		}
	}
	option := func(key, value string, with, without changes) func(*object) changes {
		return func(o *object) changes {
			if strings.EqualFold(o.option(key), value) {
				return with
			}
			return without
		}
	}
	// The three kinds that most connectors are of.
	format := connector{sink: (*object).formatChanges, source: (*object).formatChanges, scansOnly: true}
	search := connector{sink: same(askedUpsert)}
	store := connector{sink: same(upserts), source: same(inserts),
		refusesUpdates: noKey("please declare primary key for sink table when query contains update/delete record.")}
	pulsar := format
	pulsar.watermarks = true
	kafka := pulsar
	kafka.refusal = (*object).kafkaKey
	capture := connector{source: same(every), scansOnly: true}
	appendOnly := connector{scansOnly: true, source: option("scan.read-changelog-as-append-only.enabled", "true", inserts, every)}

	return map[string]connector{
		"kafka": kafka,
		"upsert-kafka": {sink: same(upserts), source: same(updates), scansOnly: true, watermarks: true, refusal: noKey("'upsert-kafka' tables require to define a PRIMARY KEY constraint. " +
			"The PRIMARY KEY specifies which columns should be read from or write to the Kafka message key. " +
			"The PRIMARY KEY also defines records in the 'upsert-kafka' table should update or delete on which keys.")},
		"kinesis":        format,
		"kinesis-legacy": format,
		"firehose":       format,
		"sqs":            format,
		"pulsar":         pulsar,
		"filesystem":     format,
		"socket":         format, // of Flink's documentation

		"jdbc":       store,
		"clickhouse": store,
		"kudu":       store,
		"mongodb":    {sink: keyed(upserts, inserts), source: same(inserts)},
		"dynamodb":   {sink: same(upserts)},
		"hbase-1.4":  {sink: same(askedUpsert), source: same(inserts)},
		"hbase-2.2":  {sink: same(askedUpsert), source: same(inserts)},
		"hbase-2.6":  {sink: same(askedUpsert), source: same(inserts)},

		"elasticsearch-6": search,
		"elasticsearch-7": search,
		"elasticsearch-8": {sink: same(askedUpsert), refusesUpdates: noKey("Primary key is required when the changelog contains UPDATE or DELETE operations.")},
		"opensearch":      search,
		"opensearch-1":    search,
		"opensearch-2":    search,
		"opensearch-3":    search,

		"iceberg":   {sink: same(asked), source: same(inserts)},
		"paimon":    {sink: (*object).paimonSink, source: (*object).paimonSource},
		"hudi":      {sink: option("changelog.enabled", "true", every, upserts)},
		"delta":     {sink: same(inserts), source: same(inserts)},
		"doris":     {sink: option("sink.ignore.update-before", "false", every, upserts), source: same(inserts)},
		"starrocks": {sink: same(asked), source: same(inserts)},

		"mysql-cdc":     appendOnly,
		"postgres-cdc":  {source: (*object).postgresCapture, scansOnly: true},
		"oracle-cdc":    appendOnly,
		"sqlserver-cdc": appendOnly,
		"db2-cdc":       capture,
		"vitess-cdc":    capture,
		"oceanbase-cdc": capture,
		"tidb-cdc":      {source: same(upserts), scansOnly: true},
		"mongodb-cdc":   {source: option("scan.full-changelog", "true", every, upserts), scansOnly: true},

		"datagen":   {source: same(inserts), scansOnly: true},
		"faker":     {source: same(inserts)},
		"print":     {sink: same(asked)},
		"blackhole": {sink: same(askedUpsert)},
	}
}

// formats are the changes of the formats that are known, which their decoders make and their encoders take.
func formats() map[string]changes {
	return map[string]changes{
		"json": inserts, "csv": inserts, "raw": inserts, "avro": inserts, "avro-confluent": inserts, "avro-glue": inserts, "json-glue": inserts,
		"json-confluent": inserts, "protobuf": inserts, "protobuf-confluent": inserts, "parquet": inserts, "orc": inserts,
		"debezium-json": every, "debezium-avro-confluent": every, "canal-json": every, "maxwell-json": every, "ogg-json": every, "changelog-json": every,
	}
}

// option returns an option of the table's own, or of the table it is LIKE.
func (o *object) option(key string) string {
	if o.def == nil {
		return ""
	}
	own := o.def.options().get(key)
	if key == "connector" {
		own = o.def.connector
	}
	if v := own; v != "" || o.like() == nil || o.def.without.options {
		return v
	}
	cached := o.cache()
	value, ok := cached.inherits[key]
	if !ok { // a table may be LIKE one that is LIKE another, and so on
		value = o.like().option(key)
		if cached.inherits == nil {
			cached.inherits = map[string]string{}
		}
		cached.inherits[key] = value
	}
	return value
}

// likeWithout reports whether LIKE leaves a feature of the other table out: OPTIONS, CONSTRAINTS. Naming it wins over ALL.
func (d *definition) likeWithout(feature string) bool {
	excluded := false
	for i := d.likeOptions[0]; i < d.likeOptions[1]; i++ {
		switch d.word(i + 1) {
		case feature:
			return d.word(i) == "EXCLUDING"
		case "ALL":
			excluded = d.word(i) == "EXCLUDING"
		}
	}
	return excluded
}

// formats lists the formats of a table, the format of its values first.
func (o *object) formats() []string {
	var list []string
	for _, key := range []string{"format", "value.format", "key.format"} {
		if f := o.option(key); f != "" && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

func (o *object) valueFormat() string {
	if f := o.option("format"); f != "" {
		return f
	}
	return o.option("value.format")
}

func (o *object) formatChanges() changes { return formats()[o.valueFormat()] }

// kafkaKey: a primary key promises what a topic of inserts cannot keep.
func (o *object) kafkaKey() string {
	if len(o.declaredKey()) == 0 || o.formatChanges() != inserts {
		return ""
	}
	return fmt.Sprintf("The Kafka table '%s' with '%s' format doesn't support defining PRIMARY KEY constraint on the table, because it can't guarantee the semantic of primary key.",
		o.name(), o.valueFormat())
}

func (o *object) postgresCapture() changes {
	switch {
	case strings.EqualFold(o.option("scan.read-changelog-as-append-only.enabled"), "true"):
		return inserts
	case strings.EqualFold(o.option("changelog-mode"), "upsert"):
		return upserts
	}
	return every
}

func (o *object) paimonSink() changes {
	merge := o.option("merge-engine")
	if len(o.declaredKey()) == 0 || o.option("changelog-producer") == "input" || merge == "aggregation" || merge == "partial-update" {
		return asked
	}
	return askedUpsert
}

func (o *object) paimonSource() changes {
	producer := o.option("changelog-producer")
	switch {
	case len(o.declaredKey()) == 0, o.option("merge-engine") == "first-row":
		return inserts
	case o.option("scan.remove-normalize") == "true", producer != "" && producer != "none":
		return every
	}
	return upserts
}

// declaredKey is the primary key of the user's definition.
func (o *object) declaredKey() []string {
	if o.def == nil {
		return nil
	}
	if len(o.def.key()) > 0 || o.like() == nil || o.def.without.constraints {
		return o.def.key()
	}
	return o.like().declaredKey()
}

// asRealSource lets the planner see the source that options make as one of the table's own connector.
func (w *writer) asRealSource(o *object, options [][2]string) [][2]string {
	if !w.options.Changes {
		return options
	}
	c, real := w.connectors[o.option("connector")], inserts
	if c.source != nil && o.choices().file == "" && o.choices().versions == "" {
		real = cmp.Or(c.source(o), inserts)
	}
	lookup := w.options.PlanOnly && o.lookups > 0 && !c.scansOnly
	watermarks := c.watermarks && len(o.rowtime()) > 0
	out := w.asReal(o, options, c, real, real == inserts && !lookup && !(watermarks && w.options.PlanOnly))
	if len(out) == len(options) {
		return out
	}
	if watermarks {
		out = append(out, [2]string{"mock.watermarks", "true"})
	}
	if lookup {
		out = append(out, [2]string{"mock.lookup", "true"})
	}
	return out
}

// asRealSink does the same for a sink. One of an unknown connector takes what it is asked for, and upserts where the script
// says ON CONFLICT, which the planner allows for no other sink.
func (w *writer) asRealSink(o *object, options [][2]string) [][2]string {
	if !w.options.Changes {
		return options
	}
	c, real := w.connectors[o.option("connector")], asked
	switch {
	case c.sink != nil:
		real = cmp.Or(c.sink(o), asked)
	case o.conflicts:
		real = upserts
	}
	out := w.asReal(o, options, c, real, real == asked)
	if len(out) == len(options) {
		return out
	}
	if c.refusesUpdates != nil && !o.altered {
		if text := c.refusesUpdates(o); text != "" {
			out = append(out, [2]string{"mock.update-refusal", text})
		}
	}
	if o.conflicts {
		out = append(out, [2]string{"mock.conflicts", "true"})
	}
	return out
}

// asReal puts the mock connector before the one that options name, unless that is the same to the planner.
func (w *writer) asReal(o *object, options [][2]string, c connector, real changes, same bool) [][2]string {
	refusal := ""
	if c.refusal != nil && !o.altered { // ALTER may have changed the key
		refusal = c.refusal(o)
	}
	if same && refusal == "" {
		return options
	}
	w.compares = true
	out := mocked(options, real)
	if refusal != "" {
		out = append(out, [2]string{"mock.refusal", refusal})
	}
	return out
}

// mocked puts the mock connector before the one that options name.
func mocked(options [][2]string, real changes) [][2]string {
	return append([][2]string{{"connector", "flink-entrypoint-mock"}, {"mock.of", options[0][1]}, {"mock.changes", string(real)}}, options[1:]...)
}
