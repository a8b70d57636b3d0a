// Package hive holds the end-to-end test with a real Hive metastore. It is behind the build tag "hive".
package hive
