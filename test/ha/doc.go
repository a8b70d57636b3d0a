// Package ha kills JobManagers, and adds and takes TaskManagers, of real clusters that the entrypoint started: make test-ha.
package ha
