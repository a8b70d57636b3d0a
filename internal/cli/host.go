package cli

import (
	"bufio"
	"context"
	"net"
	"os"
	"strings"
	"time"
)

// fqdn returns the name of this host for others, as "hostname -f" would: the hosts file first (that is where
// Kubernetes writes a pod's full name), then DNS, then the bare host name.
func fqdn(ctx context.Context, hostname string) string {
	if f, err := os.Open("/etc/hosts"); err == nil {
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			line, _, _ := strings.Cut(lines.Text(), "#")
			words := strings.Fields(line)
			for _, w := range words[min(1, len(words)):] {
				if w == hostname {
					return words[1] // the canonical name is the first of its line
				}
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if name, err := net.DefaultResolver.LookupCNAME(ctx, hostname); err == nil {
		if name = strings.TrimSuffix(name, "."); name != "" {
			return name
		}
	}
	return hostname
}
