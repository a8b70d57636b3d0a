// Package crash kills the program at every system call with which it writes, and looks at what is left. It proves that
// files appear by rename and that a start after any such death is a start like any other. It says nothing about power loss.
package crash
