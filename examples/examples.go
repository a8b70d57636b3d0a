// Package examples has the examples that programs show.
package examples

import _ "embed"

// Clicks is clicks.sql, a script with two sources, a lookup, a view and two sinks.
//
//go:embed clicks.sql
var Clicks string
