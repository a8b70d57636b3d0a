// Command probe prints what cgroup.Detect finds, as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"flink-entrypoint/internal/cgroup"
)

func main() {
	limits, err := cgroup.Detect("/", cgroup.Machine)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(limits)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
