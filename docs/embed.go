// Package docs has the pages that programs show.
package docs

import _ "embed"

// API is platform-api.yaml, the description of the API of flink-platform.
//
//go:embed platform-api.yaml
var API string
