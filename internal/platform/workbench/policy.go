package workbench

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/yaml"
)

// A Policy is what an operator lets scripts use that run in the workbench: secrets by their names in definitions, and hosts. Nothing of it holds
// without a wall.
type Policy struct {
	Env   map[string]string // the variable of {fromEnv: NAME}: the file with its value
	Files map[string]string // the path of {fromFile: PATH}: the file with its value
	Hosts []string          // host:port
}

// maxPolicy bounds a policy file, maxSecret a file with a value.
const (
	maxPolicy = 1 << 20
	maxSecret = 1 << 20
)

// ReadPolicy reads a policy file: YAML or JSON with the keys env, files and hosts.
func ReadPolicy(file string) (*Policy, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := &Policy{Env: map[string]string{}, Files: map[string]string{}}
	d, err := yaml.Read(source, yaml.Options{Strict: true, Bytes: maxPolicy, Depth: 10})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	wrong := func(n *yaml.Node, format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s", file, n.Content.Line+1, fmt.Sprintf(format, args...))
	}
	if d.Root == nil || d.Root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: expected a mapping with env, files and hosts", file)
	}
	for _, pair := range d.Root.Pairs {
		switch name := pair.Key.Text; name {
		case "env", "files":
			if pair.Value.Kind != yaml.MappingNode {
				return nil, wrong(pair.Value, "%s: expected a mapping of names to files with the values", name)
			}
			for _, secret := range pair.Value.Pairs {
				if secret.Value.Kind != yaml.ScalarNode || !filepath.IsAbs(secret.Value.Text) {
					return nil, wrong(secret.Value, "%s.%s: expected the absolute path of the file with its value", name, secret.Key.Text)
				}
				if st, err := os.Stat(secret.Value.Text); err != nil || !st.Mode().IsRegular() {
					return nil, wrong(secret.Value, "%s.%s: %s is not a file that can be read", name, secret.Key.Text, secret.Value.Text)
				}
				if name == "env" {
					p.Env[secret.Key.Text] = secret.Value.Text
				} else {
					p.Files[secret.Key.Text] = secret.Value.Text
				}
			}
		case "hosts":
			if pair.Value.Kind != yaml.SequenceNode {
				return nil, wrong(pair.Value, "hosts: expected a list of HOST:PORT")
			}
			for _, item := range pair.Value.Items {
				host, port, err := net.SplitHostPort(item.Text)
				if n, e := strconv.ParseUint(port, 10, 16); item.Kind != yaml.ScalarNode || err != nil || e != nil || n == 0 || !isHost(host) {
					return nil, wrong(item, "hosts: found %q, expected HOST:PORT with the name of a host", item.Text)
				}
				p.Hosts = append(p.Hosts, item.Text)
			}
		default:
			return nil, wrong(pair.Key, "unknown key %q, expected env, files or hosts", name)
		}
	}
	return p, nil
}

// isHost reports whether a text may be used in a hosts file as a name.
func isHost(text string) bool {
	return text != "" && len(text) <= 253 && net.ParseIP(text) == nil && !strings.ContainsFunc(text, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.')
	})
}

// environment are the variables that references may name, with their values. p may be nil.
func (p *Policy) environment() ([]string, error) {
	if p == nil {
		return nil, nil
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		b, err := os.ReadFile(p.Env[name])
		if err != nil || len(b) > maxSecret {
			return nil, &Refused{fmt.Sprintf("the value of the variable %s cannot be read by the server", name), "an operator looks at the file that its policy names", false}
		}
		out = append(out, name+"="+string(bytes.TrimRight(b, "\r\n")))
	}
	return out, nil
}

// files are the places of files that references may name.
func (p *Policy) files() map[string]string {
	if p == nil {
		return nil
	}
	return p.Files
}

// allows reports whether a reference may be used here; text is how [jobdef.Text.String] shows it.
func (p *Policy) allows(text string) bool {
	if p == nil {
		return false
	}
	kind, name, _ := strings.Cut(strings.Trim(text, "{}"), ": ")
	switch kind {
	case "fromEnv":
		_, ok := p.Env[name]
		return ok
	case "fromFile":
		_, ok := p.Files[name]
		return ok
	}
	return false
}

// hosts are those that may be called.
func (p *Policy) hosts() []string {
	if p == nil {
		return nil
	}
	return p.Hosts
}
