package mock

import "strings"

// UserNames gives the tables in a message of Flink's the names that they have in the user's script.
func UserNames(message string) string {
	for _, suffix := range []string{sinkSuffix, sourceSuffix, copySuffix} {
		message = strings.ReplaceAll(strings.ReplaceAll(message, hidingSuffix+suffix, ""), suffix, "")
	}
	return message
}
