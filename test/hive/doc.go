// Package hive holds the end-to-end test with a real Hive metastore. It has the build tag "hive".
package hive
